import { fixed } from '../limits/fixed.ts'
import { defaultLimits, type RelayLimits } from '../limits/relay.ts'

/**
 * What a visitor may make the HTTP front hold or wait for. Every dimension that the visitor controls has a bound here;
 * what lies beyond it is refused with the status named.
 */
export interface HttpLimits {
  /** Bytes of a head, request line and the empty line at its end included. Beyond: 431 (414 inside the first line). */
  readonly headBytes: number
  /** Field lines of a head. Beyond: 431. */
  readonly fields: number
  /** Bytes of a request target (RFC 9112 §3 asks for 8000 at least). Beyond: 414. */
  readonly targetBytes: number
  /** Bytes of a method; the longest registered one has 17. Beyond: 501 (RFC 9112 §3). */
  readonly methodBytes: number
  /** ms without a new byte of the first head. Then: 408, or a silent close when nothing at all had come. */
  readonly headIdleMs: number
  /** ms for the whole first head, so that one byte every few seconds does not hold a connection for hours. Then: 408. */
  readonly headTotalMs: number
  /** Bytes a second that a first head must come with, on average since it was awaited, once `headIdleMs` have passed. Then: 408. */
  readonly headMinRate: number
  /** Bytes of a chunk-size line with its extensions; signed uploads need about 90. Beyond: the join is aborted. */
  readonly chunkLineBytes: number
  /** Bytes of the trailer section of a chunked body. Beyond: the join is aborted. */
  readonly trailerBytes: number
  /** Visitors whose request has not reached a join yet. Beyond: 503. */
  readonly pending: number
  /** Of these, from one address (IPv6: one /64). Beyond: 503. */
  readonly pendingPerAddress: number
  /** ms that a service may take to answer a WebSocket handshake. Then: 504. */
  readonly upgradeMs: number
  /** ms without a byte on either side of a join that is no WebSocket. Then: it ends as `idle`. */
  readonly idleMs: number
}

/** What the relay's limits are for its HTTP fronts. */
export function httpLimits(limits: RelayLimits): HttpLimits {
  const { chunkLineBytes, headBytes, headIdleMs, headMinRate, headTotalMs } = limits
  const { pendingPerAddress, targetBytes, trailerBytes, upgradeMs } = limits
  return {
    headBytes,
    fields: limits.headFields,
    targetBytes,
    methodBytes: fixed.methodBytes,
    headIdleMs,
    headTotalMs,
    headMinRate,
    chunkLineBytes,
    trailerBytes,
    pending: limits.pendingVisitors,
    pendingPerAddress,
    upgradeMs,
    idleMs: limits.httpIdleMs,
  }
}

/** The limits used when a caller gives none. */
export const defaultHttpLimits: HttpLimits = httpLimits(defaultLimits)
