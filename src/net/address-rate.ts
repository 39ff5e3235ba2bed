import { addressGroup } from './address-group.ts'

/** Settings of an {@link AddressRate}; they are asked each time, and may change. */
export interface AddressRateOptions {
  /** Events per second of each address, in the long run. */
  readonly perSecond: number
  /** Addresses that are remembered. Beyond: the one that came longest ago is forgotten. */
  readonly addresses: number
}

interface Bucket {
  /** What is left, as of `at`. */
  left: number
  at: number
}

/**
 * A token bucket for each address (IPv6: for each /64). Bounded: an address that has its whole burst again says no more
 * than one that never came, and beyond `addresses` the least recent one is forgotten. Times are those of
 * `performance.now()`.
 */
export class AddressRate {
  readonly #options: AddressRateOptions
  readonly #burstSeconds: number
  /** In the order of their last events. */
  readonly #buckets = new Map<string, Bucket>()

  /** `burstSeconds`: how many seconds' worth may come at once after a pause. */
  constructor(burstSeconds: number, options: AddressRateOptions) {
    this.#options = options
    this.#burstSeconds = burstSeconds
  }

  /** Addresses remembered. */
  get size(): number {
    return this.#buckets.size
  }

  /** True when the address may have one more; nothing is taken. */
  may(host: string, now: number): boolean {
    const bucket = this.#buckets.get(addressGroup(host))
    return bucket === undefined || this.#left(bucket, now) >= 1
  }

  /** Takes one, unless none is left: false then. */
  take(host: string, now: number): boolean {
    const key = addressGroup(host)
    const bucket = this.#buckets.get(key)
    const left = bucket === undefined ? this.#burst : this.#left(bucket, now)
    const taken = left >= 1
    this.#buckets.delete(key)
    this.#buckets.set(key, { left: taken ? left - 1 : left, at: now })
    this.#forget(now)
    return taken
  }

  get #burst(): number {
    return this.#options.perSecond * this.#burstSeconds
  }

  #left({ left, at }: Bucket, now: number): number {
    return Math.min(this.#burst, left + ((now - at) / 1000) * this.#options.perSecond)
  }

  #forget(now: number): void {
    const { addresses } = this.#options
    for (const [key, { at }] of this.#buckets) {
      // After so long every bucket is full.
      if (this.#buckets.size <= addresses && now - at <= this.#burstSeconds * 1000) break
      this.#buckets.delete(key)
    }
  }
}
