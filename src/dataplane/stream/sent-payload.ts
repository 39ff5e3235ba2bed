/** Bytes of a visit within one frame that the carrier has not finished. */
interface Piece {
  /** Where in all that is written to the carrier the bytes begin. */
  readonly at: number
  readonly length: number
  /** Kept while nothing of the visit can have reached the peer. */
  bytes: Buffer | undefined
}

/**
 * Counts what the carrier's kernel has taken of one visit's bytes, frames' headers left out: as exact as the carrier's own
 * count is.
 */
export class SentPayload {
  #given = 0
  #finished = 0
  #pieces: Piece[] = []
  /** Bytes taken, once nothing changes any more. */
  #frozen: number | undefined

  /** All bytes so far. */
  get given(): number {
    return this.#given
  }

  /** Bytes that the carrier has not finished. */
  get pending(): number {
    return this.#given - this.#finished
  }

  /** A frame's bytes, which begin at `at` of the carrier. */
  add(at: number, bytes: Buffer): void {
    this.#given += bytes.length
    this.#pieces.push({ at, length: bytes.length, bytes: this.#finished === 0 ? bytes : undefined })
  }

  /** The carrier has finished all that comes before `at`. True when that finishes a piece. */
  finish(at: number): boolean {
    const before = this.#finished
    for (let first = this.#pieces[0]; first !== undefined && first.at + first.length <= at; first = this.#pieces[0]) {
      this.#pieces.shift()
      this.#finished += first.length
    }
    if (before === 0 && this.#finished > 0) for (const piece of this.#pieces) piece.bytes = undefined
    return this.#finished > before
  }

  /** Bytes taken, when the carrier's kernel has taken all that comes before `at`. */
  taken(at: number): number {
    if (this.#frozen !== undefined) return this.#frozen
    let taken = this.#finished
    for (const piece of this.#pieces) {
      if (piece.at >= at) break
      taken += Math.min(piece.length, at - piece.at)
    }
    return taken
  }

  /** The carrier is gone: its kernel has taken what comes before `at`, and no more. */
  freeze(at: number): void {
    this.#frozen ??= this.taken(at)
  }

  /** Nobody waits for the rest any more, and it leaves all the same. */
  commit(): void {
    this.#frozen ??= this.#given
  }

  /** After {@link freeze}: the bytes from `from` on, when nothing was taken; undefined otherwise. */
  takeBack(from: number): readonly Buffer[] | undefined {
    if (this.#frozen !== 0 || this.#finished > 0) return undefined
    const back: Buffer[] = []
    let start = 0
    for (const { bytes, length } of this.#pieces) {
      if (bytes !== undefined && start + length > from) back.push(bytes.subarray(Math.max(0, from - start)))
      start += length
    }
    return back
  }
}
