/** Bytes that {@link looksLikeTls} needs. */
export const sniffBytes = 3

/**
 * Tells a TLS ClientHello (a handshake record, version 3.1 to 3.4: `16 03 01…04`) from a plain frame by the first three
 * bytes of a connection. A frame before authentication is shorter than 64 KiB, so its third byte is 0.
 */
export function looksLikeTls(bytes: Uint8Array): boolean {
  const [first, second, third = 0] = bytes
  return first === 0x16 && second === 0x03 && third >= 0x01 && third <= 0x04
}
