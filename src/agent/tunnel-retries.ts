import { Backoff, type BackoffTimes } from './backoff.ts'
import type { TunnelSpec } from './options.ts'

/** When tunnels that a relay doesn't give are asked for again: each at its own pace, one retry at a time. */
export class TunnelRetries {
  readonly #times: BackoffTimes
  readonly #backoffs = new Map<TunnelSpec, Backoff>()
  readonly #timers = new Map<TunnelSpec, NodeJS.Timeout>()

  constructor(times: BackoffTimes) {
    this.#times = times
  }

  /** A retry is under way. */
  has(spec: TunnelSpec): boolean {
    return this.#timers.has(spec)
  }

  /** Plans a retry, and returns in how many ms. */
  plan(spec: TunnelSpec, ask: () => void): number {
    let backoff = this.#backoffs.get(spec)
    if (backoff === undefined) {
      backoff = new Backoff(this.#times)
      // What was refused a moment ago will be now: no immediate retry.
      backoff.next()
      this.#backoffs.set(spec, backoff)
    }
    const retryInMs = backoff.next()
    const timer = setTimeout(() => {
      this.#timers.delete(spec)
      ask()
    }, retryInMs)
    this.#timers.set(spec, timer)
    return retryInMs
  }

  /** Ends all retries. */
  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }
}
