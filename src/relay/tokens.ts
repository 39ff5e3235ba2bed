import { createHash, timingSafeEqual } from 'node:crypto'
import type { TokenEntry } from '../config/relay-settings.ts'
import { MillraceError } from '../errors.ts'
import { type AccountOptions, TokenAccount, type TokenFault } from './token-account.ts'

/** Whom a token stands for. */
export type Identity = TokenAccount

interface Known {
  readonly hash: Buffer
  readonly account: TokenAccount
  /** What was wrong with it when it was last looked at. */
  fault: TokenFault | undefined
}

/** The tokens that open this relay, as hashes. */
export class TokenBook {
  readonly #open: boolean
  readonly #making: Pick<AccountOptions, 'domain' | 'rateLimit'>
  #known: readonly Known[] = []

  /** Throws ERR_TOKENS_MISSING when there is no token and the relay is not explicitly open. */
  constructor(
    entries: readonly TokenEntry[],
    open: boolean,
    making: Pick<AccountOptions, 'domain' | 'rateLimit'> = {},
  ) {
    if (entries.length === 0 && !open) throw new MillraceError('ERR_TOKENS_MISSING')
    this.#open = open
    this.#making = making
    this.update(entries)
    this.faults(Date.now())
  }

  /** True when agents without a known token are let in. */
  get open(): boolean {
    return this.#open
  }

  /**
   * Whom a token stands for; undefined = nobody. Takes the same time for every token. What is wrong with the token
   * ({@link TokenAccount.problem}) is for the caller to ask.
   */
  identify(token: string): Identity | undefined {
    const hash = createHash('sha256').update(token).digest()
    let found: TokenAccount | undefined
    for (const known of this.#known) {
      if (timingSafeEqual(known.hash, hash)) found ??= known.account
    }
    if (found !== undefined) return found
    return this.#open ? new TokenAccount({ ...this.#making, key: hash.toString('hex') }) : undefined
  }

  /**
   * From now on these are the tokens; none at all is nobody. Accounts of tokens that stay go on with what they hold;
   * those that went are revoked, and returned.
   */
  update(entries: readonly TokenEntry[]): readonly TokenAccount[] {
    const before = new Map(this.#known.map((known) => [known.account.key, known]))
    const next = new Map<string, Known>()
    for (const entry of entries) {
      const key = entry.sha256.toLowerCase()
      if (next.has(key)) continue
      const old = before.get(key)
      old?.account.update(entry)
      const account = old?.account ?? new TokenAccount({ ...this.#making, key, entry })
      next.set(key, old ?? { hash: Buffer.from(key, 'hex'), account, fault: undefined })
    }
    const gone = [...before].flatMap(([key, { account }]) => (next.has(key) ? [] : [account]))
    for (const account of gone) account.revoke()
    this.#known = [...next.values()]
    return gone
  }

  /** The tokens that have become worthless since the last call. `now` in ms since 1970. */
  faults(now: number): readonly TokenAccount[] {
    return this.#known.flatMap((known) => {
      const { fault } = known
      known.fault = known.account.fault(now)
      return fault === undefined && known.fault !== undefined ? [known.account] : []
    })
  }
}
