/** How fast the memory of a busy second fades: a quarter of it goes each tick. */
const fading = 0.75

/**
 * How many proxy connections an agent should have in reserve: as many as visitors came in its busiest second of late,
 * so that a burst like the last one finds its connections open. At least one. The second that is under way doesn't
 * count yet: in the midst of a burst, handshakes for later visitors would delay those who wait.
 */
export class Demand {
  #thisTick = 0
  #peak = 0

  /** A visitor came. */
  count(): void {
    this.#thisTick++
  }

  /** A second has passed. */
  tick(): void {
    this.#peak = Math.max(this.#thisTick, this.#peak * fading)
    this.#thisTick = 0
  }

  /** How many to keep in reserve, 1 to `limit`. */
  spare(limit: number): number {
    return Math.max(1, Math.min(limit, Math.round(this.#peak)))
  }
}
