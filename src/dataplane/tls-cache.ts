import { createHash } from 'node:crypto'
import type { TlsOptions } from './types.ts'

/**
 * What is expensive to make of TLS options, found again by the object's identity, or by what it says: options that are
 * alike share one for as long as any of them lives. Names, addresses and limits of single connections don't count.
 */
export class TlsCache<T extends object> {
  readonly #make: (options: TlsOptions) => T
  readonly #byOptions = new WeakMap<TlsOptions, T>()
  readonly #alike = new Map<string, WeakRef<T>>()
  readonly #gone = new FinalizationRegistry<string>((digest) => {
    if (this.#alike.get(digest)?.deref() === undefined) this.#alike.delete(digest)
  })

  constructor(make: (options: TlsOptions) => T) {
    this.#make = make
  }

  /** Throws what making it throws. */
  of(options: TlsOptions): T {
    let found = this.#byOptions.get(options)
    if (found !== undefined) return found
    const digest = digestOf(options)
    found = this.#alike.get(digest)?.deref()
    if (found === undefined) {
      found = this.#make(options)
      this.#alike.set(digest, new WeakRef(found))
      this.#gone.register(found, digest)
    }
    this.#byOptions.set(options, found)
    return found
  }
}

/** A digest, as a key must not stay in memory for longer than the options that hold it. */
function digestOf(options: TlsOptions): string {
  const { role, alpn = [], minVersion = '' } = options
  const own = role === 'server' ? [options.cert, options.key, options.front ?? ''] : [options.trust]
  return createHash('sha256')
    .update(JSON.stringify([role, alpn, minVersion, own]))
    .digest('base64')
}
