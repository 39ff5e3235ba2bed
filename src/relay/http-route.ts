import type { DataPlane, Endpoint, Join, JoinOptions, JoinResult } from '../dataplane/types.ts'
import type { HttpLimits } from '../http/limits.ts'
import type { Logger } from '../observe/log.ts'
import type { Refusals } from '../observe/refusals.ts'

/** Where requests for one host go. */
export interface HttpRoute {
  /** The tunnel's address as it was announced. */
  readonly url: string
  /** "user:password" that visitors must know; '' = none. */
  readonly httpAuth: string
  /** What every join of this route keeps to. `maxBytes` and `drive` of aToB are set by the front. A is the visitor. */
  readonly joinOptions: JoinOptions
  /**
   * Resolves with a proxy connection on which StartProxy has been written; from then on it is the front's. Rejects
   * with a MillraceError: ERR_POOL_TIMEOUT gives the visitor a 504, ERR_POOL_FULL, ERR_JOIN_LIMIT, ERR_RELAY_FULL,
   * ERR_ADDRESS_JOINS and ERR_TOKEN_CONNECTIONS a 503, everything else a 502.
   */
  openProxy(visitor: Endpoint): Promise<Endpoint>
  /**
   * Another one for a visitor whose proxy connection was lost before it had anything of the visitor: the same, but that
   * `onUnused` or `onJoinEnd` is due whatever comes of it.
   */
  moveProxy(visitor: Endpoint): Promise<Endpoint>
  /** Called with each join that begins, unless it has ended already. Must not throw. */
  onJoin?(join: Join): void
  /** Called once for each join, at its end. A is the visitor; heads count. Must not throw. */
  onJoinEnd(result: JoinResult, visitor: Endpoint): void
  /**
   * Called once for each proxy connection that came to no join: the visitor had left, or its upgrade failed. So each
   * proxy connection ends in this or in `onJoinEnd`. Must not throw.
   */
  onUnused(visitor: Endpoint): void
}

/**
 * Why a host that has a tunnel is not served on this connection. `misdirected`: its TLS was set up for another one
 * (421). `redirect`: it is served elsewhere, at `origin` (`https://host[:port]`, 308). `denied`: the tunnel's lists keep the
 * visitor out (403).
 */
export type Detour =
  | { readonly kind: 'misdirected' }
  | { readonly kind: 'denied' }
  | { readonly kind: 'redirect'; readonly origin: string }

/** Settings of an HTTP front. */
export interface HttpFrontOptions {
  readonly dataPlane: DataPlane
  /** What visitors speak: with `https` the front is given endpoints that are TLS sessions already. */
  readonly scheme: 'http' | 'https'
  /** What is given replaces single limits of `defaultHttpLimits`. */
  readonly limits?: Partial<HttpLimits>
  /** Finds the tunnel of a host: lower case, without port and final dot; IPv6 addresses in brackets. */
  readonly lookup: (host: string, visitor: Endpoint) => HttpRoute | Detour | undefined
  /**
   * For a host whose agent is expected back: resolves when it may have come, and it is looked up then; rejects with
   * ERR_TUNNEL_AWAY. Undefined for all other hosts. `signal`: the visitor left.
   */
  readonly awaitHost?: (host: string, signal: AbortSignal) => Promise<void> | undefined
  /**
   * `Strict-Transport-Security` (RFC 6797), the field's value: added to our own answers, and to a service's final answer
   * to a request without body unless it has one itself. Default none.
   */
  readonly hsts?: string
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>
  readonly refusals: Refusals
}
