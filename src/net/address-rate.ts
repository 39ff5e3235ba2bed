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
 * than one that never came, and beyond `addresses` those that came longest ago are forgotten. Times are those of
 * `performance.now()`.
 */
export class AddressRate {
  readonly #options: AddressRateOptions
  readonly #burstSeconds: number
  /**
   * Two generations in place of one order of use, which costs ten times as much to keep: what was not asked for while one
   * lasted goes with the other.
   */
  #recent = new Map<string, Bucket>()
  #older = new Map<string, Bucket>()
  #turnedAt = Number.NEGATIVE_INFINITY
  /** When anybody last came. */
  #takenAt = Number.NEGATIVE_INFINITY

  /** `burstSeconds`: how many seconds' worth may come at once after a pause. */
  constructor(burstSeconds: number, options: AddressRateOptions) {
    this.#options = options
    this.#burstSeconds = burstSeconds
  }

  /** Addresses remembered. */
  get size(): number {
    return this.#recent.size + this.#older.size
  }

  /** True when the address may have one more; nothing is taken. */
  may(host: string, now: number): boolean {
    const key = addressGroup(host)
    const bucket = this.#recent.get(key) ?? this.#older.get(key)
    return bucket === undefined || this.#left(bucket, now) >= 1
  }

  /** Takes one, unless none is left: false then. */
  take(host: string, now: number): boolean {
    const bucket = this.#bucket(addressGroup(host), now)
    bucket.left = this.#left(bucket, now)
    bucket.at = now
    this.#takenAt = now
    if (bucket.left < 1) return false
    bucket.left--
    return true
  }

  #bucket(key: string, now: number): Bucket {
    const recent = this.#recent.get(key)
    if (recent !== undefined) return recent
    this.#turn(now)
    const bucket = this.#older.get(key) ?? { left: this.#burst, at: now }
    this.#older.delete(key)
    this.#recent.set(key, bucket)
    return bucket
  }

  /** A generation ends when it is full, or so old that every bucket of the one before is full again. */
  #turn(now: number): void {
    const lifeMs = this.#burstSeconds * 1000
    const isOld = now - this.#turnedAt >= lifeMs
    if (!isOld && this.#recent.size < Math.max(1, this.#options.addresses >> 1)) return
    // Not by its age: who comes all the time is in it, however long ago it began.
    this.#older = now - this.#takenAt < lifeMs ? this.#recent : new Map<string, Bucket>()
    this.#recent = new Map<string, Bucket>()
    this.#turnedAt = now
  }

  get #burst(): number {
    return this.#options.perSecond * this.#burstSeconds
  }

  #left({ left, at }: Bucket, now: number): number {
    return Math.min(this.#burst, left + ((now - at) / 1000) * this.#options.perSecond)
  }
}
