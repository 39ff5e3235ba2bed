/** How long to wait before attempts to reach the relay. All times in ms. */
export interface BackoffTimes {
  /** Shortest wait after the first, immediate retry. Default 1 000. */
  readonly minMs: number
  /** Longest wait. Default 30 000. */
  readonly maxMs: number
}

/** The longest of the waits that one is drawn from, by the shortest. */
const spread = 4

/**
 * Jittered exponential backoff. The first retry is immediate: most losses are a relay's restart or a changed network,
 * and the way back is usually open; it costs a relay that is down nothing, and of one that is up the limit of handshakes
 * takes care. Every later wait is drawn from a range four times as long as its shortest wait, which doubles: the agents
 * of one relay, which all lost it at the same moment, come back over seconds, about a third of them in the busiest one.
 */
export class Backoff {
  readonly #times: BackoffTimes
  readonly #random: () => number
  #attempts = 0

  constructor(times: BackoffTimes, random: () => number = Math.random) {
    this.#times = times
    this.#random = random
  }

  /** The wait before the next attempt, in ms: 0, then 1–4 s, 2–8 s, 4–16 s, 7.5–30 s by default. */
  next(): number {
    const { minMs, maxMs } = this.#times
    const exponent = this.#attempts
    this.#attempts += 1
    if (exponent === 0) return 0
    const upper = Math.min(maxMs, (minMs * spread * 2 ** exponent) / 2)
    const lower = Math.min(Math.max(minMs, upper / spread), upper)
    return Math.round(lower + this.#random() * (upper - lower))
  }

  /** To be called once a session has proved stable: the next retry is immediate again. */
  reset(): void {
    this.#attempts = 0
  }
}
