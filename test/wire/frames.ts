import type { ErrorCode } from '../../src/errors.ts'

/** A frame around any body, with its true length in front. */
export function frame(body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(body)
  return Buffer.concat([header(BigInt(bytes.length)), bytes])
}

/** The 8 bytes of a length. */
export function header(length: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(length)
  return bytes
}

/** What assert.throws and assert.rejects take to check a stable code. */
export function code(expected: ErrorCode): { readonly code: ErrorCode } {
  return { code: expected }
}
