import type { TlsAgreement } from '../types.ts'
import type { ClosedNotice } from './closed-notice.ts'
import type { AddressSource } from './events.ts'
import type { FlushQueue } from './flush-queue.ts'

/** What an endpoint leaves to whoever goes on with its connection: one that speaks TLS, or a lane. */
export interface HandedOver {
  readonly local: AddressSource
  readonly remote: AddressSource
  /** What was read already, and not taken: ciphertext, or frames. */
  readonly unread: Buffer | undefined
  /** Who waits for what was written. */
  readonly flushes: FlushQueue | undefined
  /** What became of the peer meanwhile. */
  readonly closed: ClosedNotice
}

/** What makes an endpoint a TLS one. */
export interface Secured {
  readonly serverName: string
  readonly tls: TlsAgreement
}

/** The lane below a visit, as the visit's endpoint sees it. */
export interface VisitSeat {
  /** Begins the visit, with these first bytes, unless it has begun. True: it did. */
  begin(bytes?: Uint8Array): boolean
  /** What its OPEN is to carry, unless it has begun: whoever takes it has to begin the visit. */
  takeStart(): Uint8Array | undefined
  /** What happens to the visit concerns others from now on. */
  quit(): void
  /** The endpoint has no part in the visit any more, and no other has. */
  leave(reset: boolean): void
}

/** What an endpoint has from those before it, and what it is. */
export interface NativeEndpointOptions {
  /** The engine speaks TLS on it from now on. */
  readonly secured?: Secured | undefined
  /** It is a visit. */
  readonly seat?: VisitSeat
  readonly closed?: ClosedNotice
  readonly flushes?: FlushQueue | undefined
}
