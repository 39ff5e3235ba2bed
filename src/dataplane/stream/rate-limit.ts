import { checkRate } from '../join-options.ts'
import type { RateLimit } from '../types.ts'
import { now } from './wheel.ts'

/** A direction that waits for its turn. */
export interface RateWaiter {
  /** There is an allowance: {@link StreamRateLimit.take} now gives something. */
  onAllowance(): void
}

/** No more often than this are waiters served, ms. */
const periodMs = 20

/** A token bucket that directions and joins share fairly: whoever waits gets an equal part of what has come together. */
export class StreamRateLimit implements RateLimit {
  readonly bytesPerSecond: number
  readonly burst: number
  #tokens: number
  #filledAt = now()
  #waiting = new Set<RateWaiter>()
  #timer: NodeJS.Timeout | undefined
  /** What the waiter being served may take; undefined when none is. */
  #share: number | undefined

  /** Throws ERR_OPTION. */
  constructor(bytesPerSecond: number, burst: number = bytesPerSecond) {
    checkRate(bytesPerSecond, burst)
    this.bytesPerSecond = bytesPerSecond
    this.burst = burst
    this.#tokens = burst
  }

  /** Takes up to `wanted` bytes of bandwidth; 0 = none now: {@link wait}. Nobody overtakes those who wait. */
  take(wanted: number): number {
    if (this.#share === undefined && this.#waiting.size > 0) return 0
    this.#fill()
    const granted = Math.floor(Math.min(wanted, this.#tokens, this.#share ?? wanted))
    this.#tokens -= granted
    if (this.#share !== undefined) this.#share -= granted
    return granted
  }

  /** Calls `onAllowance` of the waiter once when there is bandwidth for it. */
  wait(waiter: RateWaiter): void {
    this.#waiting.add(waiter)
    this.#arm()
  }

  /** The waiter is gone. */
  forget(waiter: RateWaiter): void {
    if (!this.#waiting.delete(waiter) || this.#waiting.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  // This timer keeps the process alive: a paused source and an idle sink do not, though there are bytes to deliver.
  #arm(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return
    const missing = Math.min(this.burst, this.#waiting.size) - this.#tokens
    const ms = Math.max(periodMs, Math.ceil((missing * 1_000) / this.bytesPerSecond))
    this.#timer = setTimeout(() => this.#serve(), Math.min(ms, 2 ** 30))
  }

  #serve(): void {
    this.#timer = undefined
    this.#fill()
    const served = this.#waiting
    this.#waiting = new Set()
    let left = served.size
    for (const waiter of served) {
      const share = Math.floor(this.#tokens / left)
      left -= 1
      if (share < 1) this.#waiting.add(waiter)
      else {
        this.#share = share
        waiter.onAllowance()
        this.#share = undefined
      }
    }
    this.#arm()
  }

  #fill(): void {
    const time = now()
    this.#tokens = Math.min(this.burst, this.#tokens + ((time - this.#filledAt) * this.bytesPerSecond) / 1_000)
    this.#filledAt = time
  }
}
