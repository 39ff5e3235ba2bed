import { addressGroup } from '../net/address-group.ts'

/** Settings of a {@link LoginBackoff}. */
export interface LoginBackoffOptions {
  /** Failures before an address has to wait. */
  readonly failures: number
  /** Addresses that are remembered. */
  readonly addresses: number
}

interface Record {
  failures: number
  lastAt: number
  until: number
}

/** The wait behind the first failure too many, and the longest one, ms; it doubles in between. */
const firstWaitMs = 1_000
const maxWaitMs = 300_000
/** Who has not failed for so long is forgotten, ms. */
const memoryMs = 900_000

/**
 * Makes addresses wait that fail to log in again and again. Bounded: beyond its size the address that failed longest ago
 * is forgotten. IPv6 counts by /64, of which one host has as many addresses as it likes. All times are those of
 * `performance.now()`.
 */
export class LoginBackoff {
  readonly #options: LoginBackoffOptions
  /** In the order of their last failures. */
  readonly #records = new Map<string, Record>()

  constructor(options: LoginBackoffOptions) {
    this.#options = options
  }

  /** Addresses remembered. */
  get size(): number {
    return this.#records.size
  }

  /** How long this address has to wait still, ms; 0 = it may try. */
  waitMs(host: string, now: number): number {
    return Math.max(0, (this.#records.get(addressGroup(host))?.until ?? 0) - now)
  }

  /** A login from this address failed. */
  failed(host: string, now: number): void {
    const key = addressGroup(host)
    const old = this.#records.get(key)
    const failures = (old === undefined || now - old.lastAt > memoryMs ? 0 : old.failures) + 1
    const over = failures - this.#options.failures
    const until = over < 0 ? 0 : now + Math.min(maxWaitMs, firstWaitMs * 2 ** Math.min(over, 20))
    this.#records.delete(key)
    this.#records.set(key, { failures, lastAt: now, until })
    for (const [oldest, { lastAt }] of this.#records) {
      if (this.#records.size <= this.#options.addresses && now - lastAt <= memoryMs) break
      this.#records.delete(oldest)
    }
  }
}
