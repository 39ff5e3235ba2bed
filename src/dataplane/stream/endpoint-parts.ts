import type { Socket } from 'node:net'
import type { Address } from '../types.ts'

/** What `StreamEndpoint.fromSocket` can be told. */
export interface StreamEndpointOptions {
  /** The TCP or unix socket below, when `socket` is a TLSSocket. */
  readonly raw?: Socket
  /** What the peer asked for by SNI. Default ''. */
  readonly serverName?: string
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
