import { setMaxListeners } from 'node:events'
import type { Join } from '../dataplane/types.ts'

/** How long aborted joins may take to say so, ms. */
const lastWordsMs = 1_000

/** The visitors that an agent serves, from `StartProxy` to the end of their joins. They outlive their session. */
export class Joins {
  readonly #live = new Set<Join>()
  readonly #onChange: () => void
  readonly #aborting = new AbortController()
  #dialing = 0
  #total = 0
  readonly #whenIdle: (() => void)[] = []

  constructor(onChange: () => void) {
    this.#onChange = onChange
    // Each dial listens to it: many at once are no leak.
    setMaxListeners(0, this.#aborting.signal)
  }

  /** Joins that run now. */
  get open(): number {
    return this.#live.size
  }

  /** Visitors who are being served: joined, or on their way to it. */
  get served(): number {
    return this.#live.size + this.#dialing
  }

  /** Joins so far, the running ones included. */
  get total(): number {
    return this.#total
  }

  /** Aborted when nobody is served any more. */
  get signal(): AbortSignal {
    return this.#aborting.signal
  }

  /** A visitor has come, and its service is dialed. `add` or `turnedAway` must follow. */
  arrived(): void {
    this.#dialing += 1
  }

  /** There is no service for the visitor. */
  turnedAway(): void {
    this.#dialing -= 1
    this.#checkIdle()
  }

  /** The visitor has been joined with its service. */
  add(join: Join): void {
    this.#dialing -= 1
    this.#live.add(join)
    this.#total += 1
    this.#onChange()
  }

  /** A join that was to connect to its service first, and could not. */
  neverBegan(join: Join): void {
    this.#total -= 1
    this.delete(join)
  }

  /** A join has ended. */
  delete(join: Join): void {
    this.#live.delete(join)
    this.#onChange()
    this.#checkIdle()
  }

  /**
   * Resolves when nobody is served any more. Whoever is left after `graceMs` is cut off. Concurrent calls are possible:
   * a shorter grace cuts a longer one short.
   */
  async drain(graceMs: number): Promise<void> {
    await this.#idleWithin(graceMs)
    this.#aborting.abort()
    for (const join of this.#live) join.destroy()
    // The ends of joins are reported a moment later, and belong into the log of whoever exits next.
    await this.#idleWithin(lastWordsMs)
  }

  async #idleWithin(ms: number): Promise<void> {
    if (this.#idle || ms <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#whenIdle.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  get #idle(): boolean {
    return this.#live.size === 0 && this.#dialing === 0
  }

  #checkIdle(): void {
    if (this.#whenIdle.length === 0 || !this.#idle) return
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}
