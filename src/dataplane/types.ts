/**
 * The data plane's interface. Control-plane code sees this file and nothing below it: never a file descriptor, an
 * addon handle, a TLSSocket or a stream pipe. docs/architecture.md has the contract in words; test/contract proves it
 * for every implementation.
 */

import type { DataPlaneStats } from './stats.ts'

/** How a direction moves bytes now. `stream` is Node streams on a plain socket, `tls` any TLS endpoint on either side. */
export type Path = 'splice' | 'copy' | 'tls' | 'stream'

/**
 * Why a join ended. `eof`: both directions ended. `reset`: a peer reset. `idle`, `half-closed-idle`, `limit`,
 * `stalled`: the limit of {@link JoinOptions} with that name ran out (`limit` is `maxDurationMs`). `aborted`:
 * `destroy()` or the signal. `truncated`: TLS ended without close_notify. `error`: the system refused something.
 * `unreachable`: the target of {@link DataPlane.joinTo} could not be dialed; or the lane of a join's side b was lost before
 * anything was handed to it, and then side a is the caller's again, as it was before the join.
 */
export type EndReason =
  | 'eof'
  | 'reset'
  | 'idle'
  | 'half-closed-idle'
  | 'limit'
  | 'stalled'
  | 'aborted'
  | 'truncated'
  | 'error'
  | 'unreachable'

/** The two directions of a join. */
export type DirectionName = 'aToB' | 'bToA'

/** One value for each direction of a join. */
export interface PerDirection<T> {
  readonly aToB: T
  readonly bToA: T
}

/** A socket address. IPv6 hosts carry no brackets; a link-local one may carry its zone (`fe80::1%eth0`). */
export type Address =
  | { readonly family: 'ipv4' | 'ipv6'; readonly host: string; readonly port: number }
  | { readonly family: 'unix'; readonly path: string }

/** `fin`: the peer sends no more (it may still read). `reset`: the connection is gone. */
export type ClosedHow = 'fin' | 'reset'

/**
 * Finds the end of a head in what has been read so far: returns its length in bytes, or 0 for "not complete yet".
 * What it throws rejects the read.
 */
export type FindEnd = (bytes: Buffer) => number

/** What a TLS handshake agreed on. */
export interface TlsAgreement {
  /** `TLSv1.3` or `TLSv1.2`. */
  readonly version: string
  /** As OpenSSL calls it, e.g. `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string
  /** The application protocol (ALPN), '' when none was agreed on. */
  readonly alpn: string
  /** With the keys of an earlier connection, whose certificate had been checked: no certificate was sent. */
  readonly resumed: boolean
}

/**
 * One side of a join: a plain socket or a TLS session on a socket. Whoever gets one owns it until it is given to
 * `join`, `secure` or `destroy`; one that is dropped without any of these leaks a descriptor. At most one read (`peek`,
 * `readHead`, `read`) may be pending (ERR_ENDPOINT_BUSY). Deadlines are in ms from the call; `Infinity` is none.
 * Every read rejects with ERR_ENDPOINT_RESET, ERR_ENDPOINT_CLOSED (destroyed meanwhile) or ERR_ENDPOINT_READ_TIMEOUT
 * (what was read stays readable).
 */
export interface Endpoint {
  /** Our own address of the connection. */
  readonly local: Address
  /** The peer's address. A unix peer has path ''. */
  readonly remote: Address
  /** True for a TLS session. */
  readonly encrypted: boolean
  /** The host name the peer asked for (TLS server endpoints: SNI, '' when none). '' elsewhere. */
  readonly serverName: string
  /** What the TLS handshake agreed on; undefined without TLS. */
  readonly tls: TlsAgreement | undefined
  /** True for a visit on a {@link Lane}: it has no connection of its own, and can't be secured or become a lane. */
  readonly isVisit: boolean

  /** Resolves with at least `n` unread bytes (fewer once the peer has ended), and takes none. n ≤ 64 KiB. */
  peek(n: number, deadlineMs: number): Promise<Buffer>
  /**
   * Takes a head: resolves with exactly the bytes that `findEnd` claims; what follows stays for the next read or the
   * join. Rejects with ERR_ENDPOINT_HEAD_TOO_LARGE when `limit` bytes are there and no end, ERR_ENDPOINT_ENDED when
   * the peer ends before it (its detail says after how many bytes; 0 = a clean end between two heads).
   */
  readHead(findEnd: FindEnd, limit: number, deadlineMs: number): Promise<Buffer>
  /** Takes whatever is there, at most `max` bytes (default 64 KiB); waits for the first byte; empty = the peer ended. */
  read(deadlineMs: number, max?: number): Promise<Buffer>
  /** Gives bytes back: the next read or the join sees them first. */
  unread(bytes: Buffer): void
  /**
   * Queues a small control-plane write. Bytes leave in order, before those of a later join. More than 1 MiB waiting
   * destroys the endpoint (ERR_ENDPOINT_WRITE_OVERFLOW is what later calls see). On a closed endpoint: does nothing.
   */
  write(bytes: Uint8Array): void
  /** Resolves when the kernel has taken everything written; rejects with ERR_ENDPOINT_CLOSED or ERR_ENDPOINT_RESET. */
  flushed(): Promise<void>
  /**
   * The peer ended or reset while the endpoint belongs to the caller (noticed without reading: a pooled endpoint that
   * dies is known at once). Called at most once for `fin` and once for `reset`, never after a join or destroy; at once
   * (in a later turn) when it has happened already. One callback: a second call replaces the first.
   */
  onClosed(callback: (how: ClosedHow) => void): void
  /**
   * `fin` (default): sends what was written, then FIN, discards what the peer still sends (2 s or 64 KiB at most, so
   * that our last words are not destroyed by a reset), closes. `reset`: RST at once (unix sockets: close). Idempotent.
   */
  destroy(how?: 'fin' | 'reset'): void
}

/** Which end of a lane this is: a relay's opens visits, an agent's accepts them. */
export type LaneRole = 'opens' | 'accepts'

/** What happens to a lane. None is ever called from within a call of the lane's user, and none may throw. */
export interface LaneEvents {
  /**
   * Role `accepts`: the peer has begun a visit; `start` is what its OPEN carries. The visit is the callback's to use or
   * destroy.
   */
  onVisit?(visit: Endpoint, start: Buffer): void
  /** The visit is over at both ends, and the next can begin. */
  onFree?(): void
  /**
   * The lane is gone, and its visit with it: told once, at the latest when the visit's endpoint has been used up, and not
   * after `destroy()`.
   */
  onClosed(): void
}

/**
 * A connection that carries one visit after another, in frames (docs/protocol.md, section 6). A visit is an endpoint, with
 * the addresses and the TLS of its lane: to be read, written and joined like any other, and used up by a join or
 * `destroy()`, whose FIN and RST are the visit's own. The lane lives on. Nothing of a visit ever reaches another one.
 */
export interface Lane {
  /** No visit is on it, and it is not known to be gone. */
  readonly free: boolean
  /**
   * Begins a visit; `start` (1 to `maxLaneOpen` bytes, not to be changed meanwhile) is what its OPEN carries. That leaves
   * together with the first bytes: once the visit is joined, written to, read, or listened to by `onClosed()`.
   * Throws ERR_OPTION unless the lane is free and its role `opens`, ERR_FRAME_UNSENDABLE for a start that is too long.
   */
  open(start: Uint8Array): Endpoint
  /** Ends the lane, as {@link Endpoint.destroy} does; a visit on it is reset. Idempotent. */
  destroy(how?: 'fin' | 'reset'): void
}

/** A bandwidth limit, shareable between directions and joins. Create it with {@link DataPlane.rateLimit}. */
export interface RateLimit {
  /** Bytes per second, ≥ 1. */
  readonly bytesPerSecond: number
  /**
   * Bytes that may pass at once after a pause, ≥ 1; default one second's worth. The native data plane lets 60 ms' worth
   * pass where that is more, and lowers the rate by the 1.3 % that this adds.
   */
  readonly burst: number
}

/** What one direction of a join may do. */
export interface DirectionOptions {
  /** Bandwidth. Default none. */
  readonly rate?: RateLimit
  /**
   * The direction carries exactly this many bytes (the head counts) and then has ended: no FIN is sent to the sink,
   * and what the source sends beyond is discarded (64 KiB at most, then it is no longer read). Default no limit.
   */
  readonly maxBytes?: number
  /**
   * `caller`: the caller moves this direction's bytes itself with `source.read()`, `sink.write()` and
   * `sink.flushed()`, and calls {@link Join.finish} at its end. For framings that the data plane doesn't know. The
   * counters count what was written. Excludes `rate` and `maxBytes`. Default `data-plane`.
   */
  readonly drive?: 'data-plane' | 'caller'
}

/**
 * Options of a join. All times are ms; 0 means off. Every end but `eof` resets both sides, so that nobody takes a cut
 * connection for a complete one.
 */
export interface JoinOptions {
  readonly aToB?: DirectionOptions
  readonly bToA?: DirectionOptions
  /** Ends a join in which no byte has moved for so long. Default 0. */
  readonly idleMs?: number
  /**
   * The same once a FIN has been seen from one side. Default 60 000. (A direction that ended by `maxBytes` or
   * `finish()` alone doesn't count: an HTTP service may think for longer.)
   */
  readonly halfClosedIdleMs?: number
  /** Ends a join so old. Default 0. */
  readonly maxDurationMs?: number
  /** Ends a join in which bytes have been waiting for so long for a sink that takes none. Default 300 000. */
  readonly stalledMs?: number
  /** Aborting it is `destroy()`. */
  readonly signal?: AbortSignal
  /**
   * Called once, at the end, before `done` resolves: the way to learn of the end without a promise. `join` is the one
   * that ended, so that many can share one object of options, as whose method it is called. Must not throw.
   */
  readonly onEnd?: (result: JoinResult, join: Join) => void
}

/** Options of {@link DataPlane.joinTo}. Neither direction can be driven by the caller. */
export interface JoinToOptions extends JoinOptions {
  /** Limit for the dial. Default 10 000; off, the system's own counts. */
  readonly dialTimeoutMs?: number
}

/** How a join ended. Byte counts are exact: what the sink's kernel took, heads included. */
export interface JoinResult extends PerDirection<bigint> {
  readonly reason: EndReason
  readonly durationMs: number
  /** Of those bytes, how many were spliced. */
  readonly spliced: PerDirection<bigint>
  /** The path that moved most bytes of each direction. */
  readonly path: PerDirection<Path>
  /** The system's word on a reset, an error or a failed dial (`ECONNRESET`, `EPIPE`, …), '' otherwise. */
  readonly errno: string
}

/** A live join. */
export interface Join {
  /** Bytes that the sinks' kernels have taken so far. Free to read; they only grow. */
  readonly bytes: PerDirection<bigint>
  /** How each direction moves bytes now. */
  readonly path: PerDirection<Path>
  /** Resolves at the end, exactly once; never rejects. Made on first use. */
  readonly done: Promise<JoinResult>
  /** Aborts: both sides are reset, whatever is under way is lost. `done` resolves with reason `aborted`. Idempotent. */
  destroy(): void
  /** Says that a direction driven by the caller has ended: once all written bytes are out, `fin` forwards a FIN. */
  finish(direction: DirectionName, how: 'fin' | 'no-fin'): void
}

/** Where to listen. Port 0 is any free port; unix paths are unlinked when the listener closes. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string }

/**
 * A socket that listens already, from another process or a service manager: {@link import('./inherited.ts')}. It is used
 * up by the `listen` that succeeds with it.
 */
export interface InheritedSocket {
  /** Where it listens; a unix socket's path can be ''. */
  readonly address: Address
  /** Closes it unused. Idempotent. */
  close(): void
}

/** Options of a listener. */
export interface ListenOptions {
  /** Pending connections that the kernel keeps. Default 4096 (Node's 511 costs 1 s SYN retries under bursts). */
  readonly backlog?: number
  /** Accepted endpoints that may live at once; beyond it the newest is reset at once and counted. Default no limit. */
  readonly maxEndpoints?: number
}

/** A listening socket. */
export interface Listener {
  /** The bound address, with the real port. */
  readonly address: Address
  /** Endpoints refused because of `maxEndpoints`. */
  readonly refused: number
  /** Stops accepting; what the kernel had already queued is still delivered. Endpoints live on. */
  close(): Promise<void>
  /**
   * Leaves the socket to another process that has it as well: stops accepting, and resolves when all that were accepted
   * have been delivered. What the kernel has queued, and a unix path, stay for the other.
   */
  leave(): Promise<void>
}

/** What goes from one process to another: a note, and for some notes a listener with it. */
export interface Parcel<Socket> {
  /** Anything that JSON can carry. */
  readonly note: unknown
  readonly socket?: Socket
}

/** Where to connect to. Names are resolved; both families are tried (RFC 8305). */
export type DialTarget = { readonly host: string; readonly port: number } | { readonly path: string }

/** Options of a dial. */
export interface DialOptions {
  /** Limit for name resolution and connect together. Default 10 000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * How a TLS client decides whom to trust. `system`: Node's root certificates and those of NODE_EXTRA_CA_CERTS. `ca`: the
 * certificates in `pem` alone, a single server's among them. With both the chain, the validity and the name are checked.
 * `pin`: the server's public key is one of these and nothing else is asked; each is the SHA-256 of the
 * SubjectPublicKeyInfo (RFC 7469 section 2.4) in base64 or hex. `none` verifies nothing and must come from an explicit
 * user's wish.
 */
export type TlsTrust =
  | { readonly kind: 'system' }
  | { readonly kind: 'ca'; readonly pem: string }
  | { readonly kind: 'pin'; readonly sha256: readonly string[] }
  | { readonly kind: 'none' }

/** Versions of TLS that are spoken. */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** TLS settings of either role. */
export interface TlsCommonOptions {
  /**
   * Application protocols, most wanted first, of 1 to 255 bytes each. A server with a list refuses clients that offer
   * none of it and takes those that don't ask. Default none.
   */
  readonly alpn?: readonly string[]
  /** Default `TLSv1.2`, of which only ECDHE with AEAD is spoken. */
  readonly minVersion?: TlsVersion
  /** A slower handshake fails with ERR_TLS_TIMEOUT, ms. Default 10 000. */
  readonly handshakeTimeoutMs?: number
  /**
   * What is made of a peer that ends its connection without TLS's own end, close_notify: it may have been cut off by
   * anybody on the way. `reset` (default): a failure; a join delivers what came and then resets its other side. `fin`: an
   * end like any other, for peers of which many never send it. A join's reason is `truncated` in either case.
   */
  readonly truncation?: 'reset' | 'fin'
}

/**
 * TLS settings, version 1.2 at least. Keep one object per front or target and pass it again: contexts are cached by the
 * object's identity.
 */
export type TlsOptions =
  | (TlsCommonOptions & {
      readonly role: 'server'
      /** PEM chain and key. */
      readonly cert: string
      readonly key: string
      /** Names what the certificate is used for: session tickets of one front are none at another. Default ''. */
      readonly front?: string
    })
  | (TlsCommonOptions & {
      readonly role: 'client'
      /** Sent as SNI and checked against the certificate. IP addresses are checked, not sent. */
      readonly serverName: string
      readonly trust: TlsTrust
    })

/** `native` is adaptive (the default), `copy` and `splice` fix the engine's path, `stream` is Node streams. */
export type DataPlaneMode = 'native' | 'copy' | 'splice' | 'stream'

/** Everything that touches visitors' bytes. One per process (and worker_thread) is enough. */
export interface DataPlane {
  readonly kind: 'native' | 'stream'
  readonly mode: DataPlaneMode
  /**
   * Whether {@link lane} works. False where the engine can't speak TLS: its visits could not be joined with TLS endpoints,
   * which are on streams there.
   */
  readonly hasLanes: boolean
  /**
   * Listens. Endpoints arrive in batches, never from within the call. Rejects with ERR_LISTEN; `cause` has errno's
   * name in `code`. An endpoint is the callback's to use or destroy.
   */
  listen(
    address: ListenAddress | InheritedSocket,
    options: ListenOptions,
    onEndpoints: (batch: readonly Endpoint[]) => void,
  ): Promise<Listener>
  /** Connects. Rejects with ERR_DIAL (`cause.code` has errno's name, or the resolver's) or ERR_DIAL_TIMEOUT. */
  dial(target: DialTarget, options?: DialOptions): Promise<Endpoint>
  /**
   * Takes a connected Node socket over; `head` are bytes already read from it that the join must deliver first. The
   * socket object is of no use afterwards. Throws ERR_SOCKET_* before anything is taken.
   */
  adopt(socket: import('node:net').Socket, head?: Uint8Array): Endpoint
  /**
   * TLS handshake on an endpoint, bytes already read from it included. The plain endpoint is used up, also when this
   * rejects with ERR_TLS, ERR_TLS_TIMEOUT or ERR_TLS_BUSY; not with ERR_OPTION and ERR_ENDPOINT_*. Clients use a session
   * again, once, for the same address, name and trust.
   */
  secure(endpoint: Endpoint, options: TlsOptions): Promise<Endpoint>
  /** Joins two endpoints. Both are used up; never throws for what a peer did: that shows in the result. */
  join(a: Endpoint, b: Endpoint, options?: JoinOptions): Join
  /**
   * Dials, and joins `a` with what answers: a whole proxied visitor in one call and without a promise, the cheapest way
   * there is. `a` is used up. When the target can't be reached `a` is reset, and the join ends with `unreachable`.
   */
  joinTo(a: Endpoint, target: DialTarget, options?: JoinToOptions): Join
  /**
   * Makes an endpoint a lane, and uses it up: what was written to it leaves first, what is unread are the first frames.
   * Throws ERR_OPTION for a visit, and without `hasLanes`, and what `join` throws for an endpoint that can't be joined.
   */
  lane(endpoint: Endpoint, role: LaneRole, events: LaneEvents): Lane
  /** A bandwidth limit for use in joins of this data plane. Throws ERR_OPTION for rates or bursts below 1. */
  rateLimit(bytesPerSecond: number, burst?: number): RateLimit
  /** What it has and has done so far. Free to ask. */
  stats(): DataPlaneStats
}
