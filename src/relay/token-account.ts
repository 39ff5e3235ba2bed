import type { TokenEntry, TokenProtocol } from '../config/relay-settings.ts'
import type { Address, Join, RateLimit } from '../dataplane/types.ts'
import { type ErrorCode, MillraceError } from '../errors.ts'
import type { PortRange } from '../net/address.ts'
import { type Networks, parseNetworks } from '../net/networks.ts'
import { fitsGlob } from './token-globs.ts'

/** What accounts are made with. */
export interface AccountOptions {
  /** SHA-256 of the token, hex. Equal for equal tokens only. Not for logs, as an open relay's tokens may be weak. */
  readonly key: string
  /** The token's entry. Absent: somebody whom an open relay lets in, without limits. */
  readonly entry?: TokenEntry
  /** The relay's domain, which `subdomains` are below of. */
  readonly domain?: string
  /** Makes the token's bandwidth limit. */
  readonly rateLimit?: (bytesPerSecond: number) => RateLimit
}

/** What a token's tunnel is, for {@link TokenAccount.permits}. */
export interface TunnelClaim {
  readonly protocol: TokenProtocol
  /** The host name or the port. */
  readonly address: string
  /** The agent asked for the host name by itself; those that the relay chose are everybody's. */
  readonly asked: boolean
}

/** Why a token as a whole is worth nothing. */
export type TokenFault = 'ERR_TOKEN_REVOKED' | 'ERR_TOKEN_DISABLED' | 'ERR_TOKEN_EXPIRED'

/**
 * Whom a token stands for: its permissions as they are now, and what its agents hold. One object for all sessions with
 * the same token, so that a change of the config counts at once wherever something is decided.
 */
export class TokenAccount {
  readonly key: string
  readonly #domain: string
  readonly #makeRate: AccountOptions['rateLimit']
  readonly #joins = new Set<Join>()
  #entry: TokenEntry | undefined
  #networks: Networks | undefined
  #denied: Networks | undefined
  #rate: RateLimit | undefined
  #revoked = false
  #sessions = 0
  #tunnels = 0
  #visitors = 0

  constructor(options: AccountOptions) {
    this.key = options.key
    this.#domain = options.domain ?? ''
    this.#makeRate = options.rateLimit
    if (options.entry !== undefined) this.update(options.entry)
  }

  /** The token's name in the config; '' for anybody let in by an open relay. For logs. */
  get name(): string {
    return this.#entry?.name ?? ''
  }

  /** Live sessions, tunnels and joins. */
  get counts(): { readonly sessions: number; readonly tunnels: number; readonly joins: number } {
    return { sessions: this.#sessions, tunnels: this.#tunnels, joins: this.#joins.size }
  }

  /** Of all its visitors together, both directions; undefined = no limit. Joins keep the one they began with. */
  get rate(): RateLimit | undefined {
    return this.#rate
  }

  /** The ports that its TCP tunnels may have; undefined = any. */
  get tcpPorts(): readonly PortRange[] | undefined {
    return this.#entry?.tcpPorts
  }

  /** From now on these are its permissions. What its agents hold already is not looked at here. */
  update(entry: TokenEntry): void {
    if (entry.bandwidth !== this.#entry?.bandwidth) {
      this.#rate = entry.bandwidth === undefined ? undefined : this.#makeRate?.(entry.bandwidth)
    }
    this.#networks = entry.networks === undefined ? undefined : parseNetworks(entry.networks)
    this.#denied = entry.denyNetworks === undefined ? undefined : parseNetworks(entry.denyNetworks)
    this.#entry = entry
  }

  /** The token is gone: it never comes back to life. */
  revoke(): void {
    this.#revoked = true
  }

  /** Why the token as a whole is worth nothing at a moment (ms since 1970). */
  fault(now: number): TokenFault | undefined {
    if (this.#revoked) return 'ERR_TOKEN_REVOKED'
    if (this.#entry?.disabled === true) return 'ERR_TOKEN_DISABLED'
    const expires = this.#entry?.expires
    return expires !== undefined && now >= expires ? 'ERR_TOKEN_EXPIRED' : undefined
  }

  /** Why an agent may not come from there now. */
  problem(now: number, remote: Address): ErrorCode | undefined {
    const fault = this.fault(now)
    if (fault !== undefined) return fault
    const host = remote.family === 'unix' ? '' : remote.host
    const allowed = this.#networks?.has(host) !== false && this.#denied?.has(host) !== true
    return allowed ? undefined : 'ERR_TOKEN_NETWORK'
  }

  /** True when its agents may ask for this host name (lower case). */
  mayHave(host: string): boolean {
    const { hostnames, subdomains } = this.#entry ?? {}
    if (hostnames === undefined && subdomains === undefined) return true
    if (hostnames?.some((pattern) => fitsGlob(pattern, host)) === true) return true
    const below = `.${this.#domain}`
    if (subdomains === undefined || !host.endsWith(below)) return false
    const name = host.slice(0, -below.length)
    return subdomains.some((pattern) => fitsGlob(pattern, name))
  }

  /** True when its TCP tunnels may have this port. */
  mayUsePort(port: number): boolean {
    return this.tcpPorts?.some(({ first, last }) => port >= first && port <= last) ?? true
  }

  /** True when its tunnels may be of this protocol. */
  mayUse(protocol: TokenProtocol): boolean {
    return this.#entry?.protocols?.includes(protocol) ?? true
  }

  /** True when this tunnel, which it was given once, would be given again. */
  permits({ protocol, address, asked }: TunnelClaim): boolean {
    if (this.#revoked || !this.mayUse(protocol)) return false
    return protocol === 'tcp' ? this.mayUsePort(Number(address)) : !asked || this.mayHave(address)
  }

  /** Throws ERR_TOKEN_SESSIONS when it has as many sessions as it may, without the one that is taken over. */
  checkSessions(evicts: boolean): void {
    const most = this.#entry?.sessions ?? Number.POSITIVE_INFINITY
    if (this.#sessions - (evicts ? 1 : 0) >= most) throw new MillraceError('ERR_TOKEN_SESSIONS', `${most}`)
  }

  /** A session began. */
  addSession(): void {
    this.#sessions++
  }

  /** A session ended. */
  removeSession(): void {
    this.#sessions--
  }

  /** Takes the place of one tunnel. Throws ERR_TOKEN_TUNNELS; {@link freeTunnel} gives it back. */
  takeTunnel(): void {
    const most = this.#entry?.tunnels ?? Number.POSITIVE_INFINITY
    if (this.#tunnels >= most) throw new MillraceError('ERR_TOKEN_TUNNELS', `${most}`)
    this.#tunnels++
  }

  /** A tunnel is gone, or was not to be had. */
  freeTunnel(): void {
    this.#tunnels--
  }

  /** Takes the place of a visitor; returns why there is none. {@link freeVisitor} gives it back. */
  takeVisitor(): MillraceError | undefined {
    const most = this.#entry?.connections ?? Number.POSITIVE_INFINITY
    if (this.#visitors >= most) return new MillraceError('ERR_TOKEN_CONNECTIONS', `${most}`)
    this.#visitors++
    return undefined
  }

  /** A visitor is done. */
  freeVisitor(): void {
    this.#visitors--
  }

  /** A visitor was joined: cut with the token. */
  addJoin(join: Join): void {
    if (this.fault(Date.now()) !== undefined) join.destroy()
    else this.#joins.add(join)
  }

  /** A join ended. */
  removeJoin(join: Join): void {
    this.#joins.delete(join)
  }

  /** Aborts its joins. */
  cut(): void {
    for (const join of this.#joins) join.destroy()
  }
}
