import { createHash, timingSafeEqual } from 'node:crypto'
import type { TokenEntry } from '../config/relay-settings.ts'
import { MillraceError } from '../errors.ts'

/** Whom a token stands for. */
export interface Identity {
  /** The token's name in the config; '' for anybody let in by an open relay. For logs. */
  readonly name: string
  /** Equal for equal tokens only: SHA-256 of the token, hex. Not for logs, as an open relay's tokens may be weak. */
  readonly key: string
  /** True when the token allows to ask for this host name (lower case). */
  mayHave(host: string): boolean
}

/** The tokens that open this relay, as hashes. */
export class TokenBook {
  readonly #entries: readonly (TokenEntry & { readonly hash: Buffer })[]
  readonly #open: boolean

  /** Throws ERR_TOKENS_MISSING when there is no token and the relay is not explicitly open. */
  constructor(entries: readonly TokenEntry[], open: boolean) {
    if (entries.length === 0 && !open) throw new MillraceError('ERR_TOKENS_MISSING')
    this.#entries = entries.map((entry) => ({ ...entry, hash: Buffer.from(entry.sha256, 'hex') }))
    this.#open = open
  }

  /** True when agents without a known token are let in. */
  get open(): boolean {
    return this.#open
  }

  /** Whom a token stands for; undefined = nobody. Takes the same time for every token. */
  identify(token: string): Identity | undefined {
    const hash = createHash('sha256').update(token).digest()
    let found: TokenEntry | undefined
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.hash, hash)) found ??= entry
    }
    if (found === undefined && !this.#open) return undefined
    const patterns = found?.hostnames
    return {
      name: found?.name ?? '',
      key: hash.toString('hex'),
      mayHave: (host) => patterns === undefined || patterns.some((pattern) => matches(pattern, host)),
    }
  }
}

/** `*.suffix` stands for every name below the suffix, not for the suffix itself. */
function matches(pattern: string, host: string): boolean {
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern
}
