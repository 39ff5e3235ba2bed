import { isIPv4 } from 'node:net'

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex')

/** The 4 or 16 bytes of an IP address (no zone), in network order. The text must be one: check with `isIP` before. */
export function ipToBytes(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from(host.split('.').map(Number))
  // The URL parser turns every spelling, dotted tails included, into the short hexadecimal form of RFC 5952.
  const [front = '', back] = new URL(`http://[${host}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string): readonly string[] => (text === '' ? [] : text.split(':'))
  const head = groups(front)
  const tail = groups(back ?? '')
  const zeros = Array.from<string>({ length: 8 - head.length - tail.length }).fill('0')
  return Buffer.from([...head, ...zeros, ...tail].map((group) => group.padStart(4, '0')).join(''), 'hex')
}

/** An IP address from its 4 or 16 bytes: IPv6 in the form of RFC 5952, IPv4-mapped IPv6 as IPv4. */
export function ipFromBytes(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.subarray(0, 12).equals(mappedPrefix)) return bytes.subarray(12).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

/** The 16 bytes of an IP address, IPv4 as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2). */
export function ipToBytes16(host: string): Buffer {
  const bytes = ipToBytes(host)
  return bytes.length === 4 ? Buffer.concat([mappedPrefix, bytes]) : bytes
}
