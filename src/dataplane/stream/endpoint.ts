import type { Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import type { Address, ClosedHow, Endpoint, FindEnd } from '../types.ts'
import { isUnix, localAddress, remoteAddress } from './address.ts'
import { Inbox, readAhead } from './inbox.ts'
import { Port } from './port.ts'
import type { PortWatcher, PortWriter } from './port-roles.ts'

/** Bytes that may wait to be sent to a peer before the endpoint is destroyed. */
const maxPendingWrites = 1_048_576

/** What {@link StreamEndpoint.fromSocket} can be told. */
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

/**
 * An endpoint over a Node socket or TLSSocket. Nothing is read before the first read or `onClosed()`. From then on up
 * to 64 KiB are read ahead; a FIN or RST behind more unread bytes than that shows only once they are read. Node doesn't
 * look at a connection after its FIN: a RST that follows shows when something is written.
 */
export class StreamEndpoint implements Endpoint, PortWriter, PortWatcher {
  readonly local: Address
  readonly remote: Address
  readonly encrypted: boolean
  readonly serverName: string
  readonly #port: Port
  readonly #inbox: Inbox
  #state: 'open' | 'joined' | 'closed' = 'open'
  #caller: CallerPart | undefined
  #closedBy: MillraceError | undefined
  #onClosed: ((how: ClosedHow) => void) | undefined
  #toldFin = false
  #flushes: { readonly resolve: () => void; readonly reject: (error: MillraceError) => void }[] = []

  private constructor(socket: Socket, options: StreamEndpointOptions) {
    const unix = isUnix(options.raw ?? socket)
    this.local = options.local ?? localAddress(socket, unix)
    this.remote = options.remote ?? remoteAddress(socket, unix)
    this.encrypted = options.raw !== undefined
    this.serverName = options.serverName ?? ''
    const port = new Port(socket, options.raw, unix, options.onGone)
    this.#port = port
    this.#inbox = new Inbox(
      port,
      () => this.#readError(),
      () => this.#tellClosed(),
    )
    port.reader = this.#inbox
    port.writer = port.watcher = this
  }

  /**
   * Makes an endpoint of a connected socket whose bytes nobody else reads; `head` are bytes already read from it.
   * Half-open connections must be allowed (`allowHalfOpen`), or Node answers every FIN with a FIN.
   */
  static fromSocket(socket: Socket, head?: Uint8Array, options: StreamEndpointOptions = {}): StreamEndpoint {
    const endpoint = new StreamEndpoint(socket, options)
    if (head !== undefined) endpoint.#inbox.unread.push(Buffer.from(head))
    return endpoint
  }

  /** Takes the pending read, if any, and what is unread; for directions driven by the caller. */
  get inbox(): Inbox {
    return this.#inbox
  }

  peek(n: number, deadlineMs: number): Promise<Buffer> {
    if (!(n >= 0 && n <= readAhead)) return rejected('ERR_OPTION', `peek of ${n} bytes: 64 KiB is the most`)
    return this.#refuseReads() ?? this.#inbox.start({ kind: 'peek', n }, deadlineMs)
  }

  readHead(findEnd: FindEnd, limit: number, deadlineMs: number): Promise<Buffer> {
    return this.#refuseReads() ?? this.#inbox.start({ kind: 'head', findEnd, limit }, deadlineMs)
  }

  read(deadlineMs: number, max = 65_536): Promise<Buffer> {
    if (!(max >= 1)) return rejected('ERR_OPTION', `read of at most ${max} bytes`)
    return this.#refuseReads() ?? this.#inbox.start({ kind: 'read', max }, deadlineMs)
  }

  unread(bytes: Buffer): void {
    this.#inbox.unread.unshift(bytes)
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#state === 'closed' || (this.#state === 'joined' && !this.#caller?.writes)) return
    this.#port.write(bytes)
    if (this.#port.pending <= maxPendingWrites) return
    const error = new MillraceError('ERR_ENDPOINT_WRITE_OVERFLOW', String(maxPendingWrites))
    const caller = this.#caller
    if (caller === undefined) this.#port.reset()
    this.#close(error)
    caller?.onOverflow()
  }

  flushed(): Promise<void> {
    const error = this.#writeError()
    if (error !== undefined) return Promise.reject(error)
    if (this.#port.pending === 0) return Promise.resolve()
    return new Promise((resolve, reject) => this.#flushes.push({ resolve, reject }))
  }

  onClosed(callback: (how: ClosedHow) => void): void {
    if (this.#state !== 'open') return
    this.#onClosed = callback
    this.#port.arm()
    process.nextTick(() => this.#tellClosed())
  }

  destroy(how: 'fin' | 'reset' = 'fin'): void {
    if (this.#state !== 'open') return
    if (how === 'reset') this.#port.reset()
    else this.#port.linger()
    this.#close(new MillraceError('ERR_ENDPOINT_CLOSED'))
  }

  /**
   * Why this endpoint cannot be joined or secured, if it cannot: the caller destroyed it, joined it already or waits
   * for a read. What a peer did is no reason.
   */
  unusable(): MillraceError | undefined {
    if (this.#state === 'closed' && this.#closedBy?.code === 'ERR_ENDPOINT_CLOSED') return this.#closedBy
    if (this.#state === 'joined') return new MillraceError('ERR_ENDPOINT_JOINED')
    return this.#inbox.busy ? new MillraceError('ERR_ENDPOINT_BUSY') : undefined
  }

  /** Hands the port and the unread bytes to a join, which then calls {@link joinFailed} and {@link joinEnded}. */
  release(caller: CallerPart | undefined): { readonly port: Port; readonly unread: readonly Buffer[] } {
    const port = this.#port
    if (this.#state === 'open') this.#state = 'joined'
    this.#caller = caller
    this.#onClosed = undefined
    port.reader = port.writer = port.watcher = undefined
    return { port, unread: caller?.reads === true ? [] : this.#inbox.unread.takeAll() }
  }

  /** Hands the socket over, without our listeners, so that a TLS session can be put on it. */
  releaseSocket(): { readonly socket: Socket; readonly unread: readonly Buffer[] } {
    const { port, unread } = this.release(undefined)
    port.detach()
    return { socket: port.socket, unread }
  }

  /** The connection failed while in a join: what a driving caller awaits is settled. */
  joinFailed(): void {
    if (this.#caller !== undefined) this.#settleFailure()
  }

  /** The join is over: what a driving caller awaits is rejected. */
  joinEnded(): void {
    if (this.#state === 'joined' && this.#caller !== undefined) {
      this.#close(this.#resetError() ?? new MillraceError('ERR_ENDPOINT_CLOSED'))
    }
  }

  onFailed(): void {
    this.#settleFailure()
    this.#tellClosed()
  }

  onWritten(): void {
    if (this.#flushes.length > 0 && (this.#port.pending === 0 || this.#writeError() !== undefined))
      this.#settleFlushes()
  }

  #settleFailure(): void {
    this.#inbox.pullAll()
    this.#inbox.settle()
    this.#settleFlushes()
  }

  #settleFlushes(): void {
    const flushes = this.#flushes
    this.#flushes = []
    const error = this.#writeError()
    for (const flush of flushes) {
      if (error === undefined) flush.resolve()
      else flush.reject(error)
    }
  }

  #tellClosed(): void {
    const callback = this.#onClosed
    if (callback === undefined || this.#state !== 'open') return
    if (this.#port.failure !== undefined) {
      this.#onClosed = undefined
      callback('reset')
    } else if (this.#port.ended && !this.#toldFin) {
      this.#toldFin = true
      callback('fin')
    }
  }

  #close(error: MillraceError): void {
    this.#state = 'closed'
    this.#closedBy = error
    this.#onClosed = undefined
    this.#inbox.close()
    this.#settleFlushes()
  }

  #refuseReads(): Promise<never> | undefined {
    if (this.#state === 'joined' && this.#caller?.reads !== true) return rejected('ERR_ENDPOINT_JOINED')
    return this.#state === 'closed' && this.#closedBy !== undefined ? Promise.reject(this.#closedBy) : undefined
  }

  #readError(): MillraceError | undefined {
    return this.#state === 'closed' ? this.#closedBy : this.#resetError()
  }

  #writeError(): MillraceError | undefined {
    if (this.#state === 'joined' && this.#caller?.writes !== true) return new MillraceError('ERR_ENDPOINT_JOINED')
    return this.#readError()
  }

  #resetError(): MillraceError | undefined {
    const errno = this.#port.failure
    if (errno === undefined) return undefined
    return new MillraceError('ERR_ENDPOINT_RESET', '', { cause: Object.assign(new Error(errno), { code: errno }) })
  }
}

function rejected(...error: ConstructorParameters<typeof MillraceError>): Promise<never> {
  return Promise.reject(new MillraceError(...error))
}
