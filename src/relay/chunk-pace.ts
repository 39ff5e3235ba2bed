import { setTimeout as delay } from 'node:timers/promises'
import type { RateLimit } from '../dataplane/types.ts'

/** Longest wait of a slowed transfer, ms, before it looks whether the join still lives. */
const maxPauseMs = 1_000

/**
 * The pace of all chunked bodies with one bandwidth limit, which the data plane can't apply to what it doesn't carry by
 * itself. It is theirs together: what else the limit is for is counted by the data plane, apart from them.
 */
export class ChunkPace {
  static readonly #ofRates = new WeakMap<RateLimit, ChunkPace>()
  readonly #bytesPerMs: number
  readonly #burstMs: number
  /** When all that has passed so far would have, at the rate alone. */
  #due = Number.NEGATIVE_INFINITY

  constructor({ burst, bytesPerSecond }: Pick<RateLimit, 'burst' | 'bytesPerSecond'>) {
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#burstMs = burst / this.#bytesPerMs
  }

  /** The pace of a limit: one for each. */
  static of(rate: RateLimit): ChunkPace {
    let pace = ChunkPace.#ofRates.get(rate)
    if (pace === undefined) {
      pace = new ChunkPace(rate)
      ChunkPace.#ofRates.set(rate, pace)
    }
    return pace
  }

  /** So many bytes have come at `now`. Returns when they may go on; both by `performance.now()`. */
  passed(bytes: number, now: number): number {
    this.#due = Math.max(this.#due, now - this.#burstMs) + bytes / this.#bytesPerMs
    return this.#due
  }

  /** The same, waited for; at most until `ended` says that there is no need. */
  async follow(bytes: number, ended: () => boolean): Promise<void> {
    const due = this.passed(bytes, performance.now())
    for (let wait = due - performance.now(); wait >= 1 && !ended(); wait = due - performance.now()) {
      await delay(Math.min(wait, maxPauseMs), undefined, { ref: false })
    }
  }
}
