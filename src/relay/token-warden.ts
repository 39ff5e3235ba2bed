import { dirname } from 'node:path'
import type { RelaySettings, TokenEntry } from '../config/relay-settings.ts'
import { readTokensFile, type TokensFile } from '../config/tokens-file.ts'
import type { DataPlane } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { FolderWatch } from '../folder-watch.ts'
import type { Logger } from '../observe/log.ts'
import type { ControlRegistry } from './control-registry.ts'
import type { TokenAccount } from './token-account.ts'
import { TokenBook } from './tokens.ts'

/** What the warden works with. */
export interface TokenWardenOptions {
  readonly settings: RelaySettings
  readonly dataPlane: DataPlane
  readonly sessions: ControlRegistry
  readonly log: Logger
}

/** How long the tokens file must be quiet before it is read, ms: it is replaced whole, so hardly at all. */
const settleMs = 20

/**
 * Keeps the tokens as config and tokens file say, live, and ends what a token must not have any more: sessions, tunnels,
 * joins.
 */
export class TokenWarden {
  readonly tokens: TokenBook
  readonly #options: TokenWardenOptions
  #config: readonly TokenEntry[]
  #file: TokensFile
  #watch: FolderWatch | undefined
  #reading: Promise<void> = Promise.resolve()
  /** The sentence of the last refusal: told once, not at every look at the same bad file. */
  #refused = ''

  constructor(options: TokenWardenOptions, file: TokensFile) {
    const { dataPlane, settings } = options
    this.#options = options
    this.#config = settings.tokens
    this.#file = file
    this.tokens = new TokenBook(merge(settings.tokens, file, settings.tokensFile), settings.open, {
      domain: settings.domain,
      rateLimit: (bytesPerSecond) => dataPlane.rateLimit(bytesPerSecond),
    })
  }

  /** Reads the tokens and follows their file. Rejects with ERR_TOKENS_MISSING or ERR_CONFIG. */
  static async open(options: TokenWardenOptions): Promise<TokenWarden> {
    const { tokensFile } = options.settings
    const warden = new TokenWarden(options, await readTokensFile(tokensFile))
    warden.#watch = new FolderWatch([dirname(tokensFile)], () => void warden.reload(), { settleMs })
    return warden
  }

  /**
   * Reads the tokens file again, and takes other tokens from the config if they are given. A bad file changes nothing
   * and is logged (`tokens.refused`). Never rejects.
   */
  reload(config?: readonly TokenEntry[]): Promise<void> {
    this.#reading = this.#reading.then(() => this.#reload(config))
    return this.#reading
  }

  /** To be called about once a second: tokens expire. */
  tick(): void {
    this.#end(this.tokens.faults(Date.now()))
  }

  /** Follows the file no more. */
  close(): void {
    this.#watch?.close()
  }

  async #reload(config: readonly TokenEntry[] | undefined): Promise<void> {
    const { log, settings } = this.#options
    const given = config ?? this.#config
    let file: TokensFile
    let entries: readonly TokenEntry[]
    try {
      file = await readTokensFile(settings.tokensFile, this.#file)
      if (file === this.#file && given === this.#config) {
        this.#refused = ''
        return
      }
      entries = merge(given, file, settings.tokensFile)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      if (why !== this.#refused) log.error('tokens.refused', { error: why }, 'the tokens stay as they were')
      this.#refused = why
      return
    }
    this.#refused = ''
    this.#file = file
    this.#config = given
    const gone = this.tokens.update(entries)
    log.info('tokens.reloaded', { tokens: entries.length, revoked: gone.length })
    this.#end([...gone, ...this.tokens.faults(Date.now())])
    for (const session of this.#options.sessions) session.enforce()
  }

  #end(accounts: readonly TokenAccount[]): void {
    if (accounts.length === 0) return
    const { log, sessions } = this.#options
    const ended = new Set(accounts)
    for (const account of accounts) {
      const reason = reasons[account.fault(Date.now()) ?? 'ERR_TOKEN_REVOKED']
      log.warn('token.revoked', { audit: 'revoked', agent: account.name, reason, ...account.counts })
    }
    for (const session of sessions) if (ended.has(session.identity)) session.enforce()
    for (const account of accounts) account.cut()
  }
}

const reasons = { ERR_TOKEN_REVOKED: 'removed', ERR_TOKEN_DISABLED: 'disabled', ERR_TOKEN_EXPIRED: 'expired' } as const

/** Throws ERR_CONFIG when both have one token: taking it out of one would not revoke it. */
function merge(config: readonly TokenEntry[], { entries }: TokensFile, path: string): readonly TokenEntry[] {
  for (const { name, sha256 } of entries) {
    if (!config.some((other) => other.sha256.toLowerCase() === sha256 || other.name === name)) continue
    throw new MillraceError('ERR_CONFIG', `${path}: the token ${name} is in the relay's config as well`)
  }
  return [...config, ...entries]
}
