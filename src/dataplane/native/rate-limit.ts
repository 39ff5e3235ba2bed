import { MillraceError } from '../../errors.ts'
import { checkRate } from '../join-options.ts'
import { StreamRateLimit } from '../stream/rate-limit.ts'
import type { RateLimit } from '../types.ts'
import type { Addon, Bucket } from './addon.ts'

/** A bandwidth limit of the native data plane. */
export class NativeRateLimit implements RateLimit {
  readonly bytesPerSecond: number
  readonly burst: number
  readonly #bucket: Bucket
  #stream: StreamRateLimit | undefined

  /** Throws ERR_OPTION. */
  constructor(addon: Addon, bytesPerSecond: number, burst: number = bytesPerSecond) {
    checkRate(bytesPerSecond, burst)
    this.bytesPerSecond = bytesPerSecond
    this.burst = burst
    this.#bucket = addon.bucket(bytesPerSecond, burst)
  }

  /** The engine's object; undefined for no limit. Throws ERR_OPTION for a limit of another data plane. */
  static bucketOf(rate: RateLimit | undefined): Bucket | undefined {
    return rate === undefined ? undefined : NativeRateLimit.#own(rate).#bucket
  }

  /** The same limit for joins that run on streams; those share one bucket among themselves. */
  static streamOf(rate: RateLimit): StreamRateLimit {
    const own = NativeRateLimit.#own(rate)
    own.#stream ??= new StreamRateLimit(own.bytesPerSecond, own.burst)
    return own.#stream
  }

  static #own(rate: RateLimit): NativeRateLimit {
    if (rate instanceof NativeRateLimit) return rate
    throw new MillraceError('ERR_OPTION', 'the rate limit belongs to another data plane')
  }
}
