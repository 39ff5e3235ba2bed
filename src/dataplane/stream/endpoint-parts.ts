import type { Socket } from 'node:net'
import type { Address, Endpoint, TlsAgreement } from '../types.ts'
import { localAddress, remoteAddress } from './address.ts'
import type { TruncationCheck } from './truncation.ts'

/** What is known of a TLS session beyond its socket. */
export interface StreamTls {
  /** The TCP or unix socket below. */
  readonly raw: Socket
  /** What the peer asked for by SNI, or ''. */
  readonly serverName: string
  readonly agreement: TlsAgreement
  /** Says whether the peer ended without close_notify, and by a reset. */
  readonly end: Pick<TruncationCheck, 'truncated' | 'reset'>
  /** Such an end is a failure. */
  readonly resetsWhenTruncated: boolean
  /** Told once of such an end. */
  readonly onTruncated: () => void
}

/** What `StreamEndpoint.fromSocket` can be told. */
export interface StreamEndpointOptions {
  /** When `socket` is a TLSSocket. */
  readonly tls?: StreamTls
  /** Called once, when the descriptor is closed. */
  readonly onGone?: () => void
  /** Default: what the socket says. */
  readonly local?: Address
  /** Default: what the socket says. */
  readonly remote?: Address
}

/** What an endpoint is: the connection that it has, or that carries it. */
export type EndpointIdentity = Pick<Endpoint, 'local' | 'remote' | 'encrypted' | 'serverName' | 'tls'>

/** What a connected socket says of itself, where the options don't. */
export function identify(socket: Socket, unix: boolean, options: StreamEndpointOptions): EndpointIdentity {
  const { tls } = options
  return {
    local: options.local ?? localAddress(socket, unix),
    remote: options.remote ?? remoteAddress(socket, unix),
    encrypted: tls !== undefined,
    serverName: tls?.serverName ?? '',
    tls: tls?.agreement,
  }
}

/** What a join leaves to the caller: the sides of directions that the caller drives. */
export interface CallerPart {
  /** The caller reads from this endpoint. */
  readonly reads: boolean
  /** The caller writes to it. */
  readonly writes: boolean
  /** The peer doesn't take what the caller writes, and the limit for what may wait is passed. */
  readonly onOverflow: () => void
}
