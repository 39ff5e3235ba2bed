const empty = Buffer.alloc(0)

/** Bytes in order, in the pieces they came in. Never copies until somebody wants to see several pieces as one. */
export class ByteQueue {
  #chunks: Buffer[] = []
  #length = 0

  /** Bytes in the queue. */
  get length(): number {
    return this.#length
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#length += chunk.length
  }

  unshift(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.unshift(chunk)
    this.#length += chunk.length
  }

  /** Everything as one buffer, left in the queue. */
  view(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#length)]
    return this.#chunks[0] ?? empty
  }

  /** Takes exactly `n` bytes; n ≤ length. */
  take(n: number): Buffer {
    const first = this.#chunks[0]
    if (first === undefined || n === 0) return empty
    if (first.length > n) {
      this.#chunks[0] = first.subarray(n)
      this.#length -= n
      return first.subarray(0, n)
    }
    if (first.length === n) {
      this.#chunks.shift()
      this.#length -= n
      return first
    }
    this.view()
    return this.take(n)
  }

  /** Takes the first piece, at most `max` bytes of it; empty when there is none. Copies nothing. */
  takePiece(max: number): Buffer {
    return this.take(Math.min(max, this.#chunks[0]?.length ?? 0))
  }

  /** Takes everything, in pieces. */
  takeAll(): Buffer[] {
    const chunks = this.#chunks
    this.#chunks = []
    this.#length = 0
    return chunks
  }
}
