/** How long to wait before attempts to reach the relay. All times in ms. */
export interface BackoffTimes {
  /** Shortest wait after the first, immediate retry. Default 1 000. */
  readonly minMs: number
  /** Longest wait. Default 30 000. */
  readonly maxMs: number
}

/**
 * Jittered exponential backoff. The first retry is immediate: most losses are a relay's restart or a changed network,
 * and the way back is usually open. Every later wait is drawn from the upper half of a range that doubles, so that
 * the agents of one relay, which all lost it at the same moment, do not come back at the same moment.
 */
export class Backoff {
  readonly #times: BackoffTimes
  readonly #random: () => number
  #attempts = 0

  constructor(times: BackoffTimes, random: () => number = Math.random) {
    this.#times = times
    this.#random = random
  }

  /** The wait before the next attempt, in ms: 0, then 1–2 s, 2–4 s, … 15–30 s by default. */
  next(): number {
    const { minMs, maxMs } = this.#times
    const exponent = this.#attempts
    this.#attempts += 1
    if (exponent === 0) return 0
    const upper = Math.min(maxMs, minMs * 2 ** exponent)
    const lower = Math.min(Math.max(minMs, upper / 2), upper)
    return Math.round(lower + this.#random() * (upper - lower))
  }

  /** To be called once a session has proved stable: the next retry is immediate again. */
  reset(): void {
    this.#attempts = 0
  }
}
