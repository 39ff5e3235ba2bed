import { createHash, type Hash } from 'node:crypto'
import type { Readable } from 'node:stream'

/** Bytes each way in the tests with other programs: many records, and more than any buffer holds. */
export const bulkBytes = 3 * 1_048_576 + 7

/** What a side sends, told apart by its seed; peer.go and peer.py make the same. */
export function bulk(seed: number, length = bulkBytes): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + Math.floor(at / 251) + seed) & 255
  return bytes
}

/** SHA-256, in hex. */
export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** What came out of a stream so far. */
export class Meter {
  bytes = 0
  ended = false
  readonly #hash: Hash = createHash('sha256')

  constructor(stream: Readable) {
    stream.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length
      this.#hash.update(chunk)
    })
    stream.on('end', () => {
      this.ended = true
    })
  }

  /** The digest of all so far. */
  get digest(): string {
    return this.#hash.copy().digest('hex')
  }
}
