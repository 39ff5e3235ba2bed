/** Settings of a {@link Demand}. */
export interface DemandOptions {
  /** Fewest to keep in reserve. Default 1. */
  readonly floor?: number
  /** A monotonic clock in ms. Default `performance.now`. */
  readonly now?: () => number
}

/** How fast the memory of a busy stretch fades: a quarter of it goes each second, or each stretch that is longer. */
const fading = 0.75

/** A new measurement's weight in the time to open one, as for the round-trip time of TCP (RFC 6298 §2). */
const weight = 1 / 8

/** A reserve has to last until its refill is there: asking and opening, with as much again for what varies. */
const margin = 2

/**
 * The shortest and the longest stretch over which visitors are counted, ms. Visitors come in bunches (a page and what is
 * on it), and a bunch lasts longer than opening a connection in a fast network; and an agent that takes for ever to open
 * one needs no reserve for ever.
 */
const stretchMs = { least: 250, most: 5_000 } as const

/**
 * How many proxy connections an agent should have in reserve: arrival rate × time to open one, by the busiest stretch of
 * late, so that a burst like the last one finds its connections open. The stretch that is under way doesn't count yet: in
 * the midst of a burst, handshakes for later visitors would delay those who wait. Where proxy connections are lanes, which
 * come back, it is not arrivals that count but by how many those who are being served have become more.
 */
export class Demand {
  readonly #floor: number
  readonly #now: () => number
  #openMs = 0
  /** When the stretch that is under way began, who has come in it less who has left, and the most that this has been. */
  #since: number
  #net = 0
  #came = 0
  #peak = 0
  #fadedAt: number

  constructor({ floor = 1, now = () => performance.now() }: DemandOptions = {}) {
    this.#floor = floor
    this.#now = now
    this.#since = now()
    this.#fadedAt = this.#since
  }

  /** From asking for a proxy connection to having it, ms, smoothed; 0 before the first. */
  get openMs(): number {
    return this.#openMs
  }

  /** A visitor came. */
  count(): void {
    this.#close()
    this.#net++
    this.#came = Math.max(this.#came, this.#net)
  }

  /** A visitor's lane is free again, or gone: who was served on it isn't any more. */
  returned(): void {
    this.#close()
    this.#net--
  }

  /** A proxy connection came so long after it was asked for, ms. */
  opened(ms: number): void {
    this.#openMs += this.#openMs === 0 ? ms : (ms - this.#openMs) * weight
  }

  /** To be called now and then: what is past fades. */
  tick(): void {
    const now = this.#now()
    this.#peak *= fading ** ((now - this.#fadedAt) / Math.max(1000, this.#stretchMs))
    this.#fadedAt = now
    this.#close()
  }

  /** How many to keep in reserve, from the floor to `ceiling`. */
  spare(ceiling: number): number {
    return Math.max(Math.min(this.#floor, ceiling), Math.min(ceiling, Math.round(this.#peak)))
  }

  get #stretchMs(): number {
    return Math.min(Math.max(margin * this.#openMs, stretchMs.least), stretchMs.most)
  }

  /** Ends the stretch when it has lasted. */
  #close(): void {
    const now = this.#now()
    if (now - this.#since < this.#stretchMs) return
    this.#peak = Math.max(this.#peak, this.#came)
    this.#came = 0
    this.#net = 0
    this.#since = now
  }
}
