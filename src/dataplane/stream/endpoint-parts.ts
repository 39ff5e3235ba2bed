import type { Socket } from 'node:net'
import type { Address, TlsAgreement } from '../types.ts'
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

/** What a join leaves to the caller: the sides of directions that the caller drives. */
export interface CallerPart {
  /** The caller reads from this endpoint. */
  readonly reads: boolean
  /** The caller writes to it. */
  readonly writes: boolean
  /** The peer doesn't take what the caller writes, and the limit for what may wait is passed. */
  readonly onOverflow: () => void
}
