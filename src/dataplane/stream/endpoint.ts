import type { Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import type { LaneReset } from '../../wire/lane-frame.ts'
import type { Address, ClosedHow, Endpoint, FindEnd, TlsAgreement } from '../types.ts'
import { isUnix } from './address.ts'
import { ClosedCall } from './closed-call.ts'
import { rejected, resetError } from './endpoint-errors.ts'
import { type CallerPart, type EndpointIdentity, identify, type StreamEndpointOptions } from './endpoint-parts.ts'
import { Flushes } from './flushes.ts'
import { HeldCalls } from './held-calls.ts'
import { Inbox, readAhead } from './inbox.ts'
import type { Port } from './port.ts'
import type { PortWatcher, PortWriter } from './port-roles.ts'
import { SocketPort } from './socket-port.ts'

/** Bytes that may wait to be sent to a peer before the endpoint is destroyed. */
const maxPendingWrites = 1_048_576

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
  readonly tls: TlsAgreement | undefined
  readonly isVisit: boolean
  readonly #port: Port
  readonly #inbox: Inbox
  readonly #onReported: (() => void) | undefined
  #state: 'open' | 'joined' | 'closed' = 'open'
  /** The join's `onEnd` has not been called. */
  #unreported = false
  #caller: CallerPart | undefined
  #closedBy: MillraceError | undefined
  readonly #closedCall = new ClosedCall()
  /** In a join that has not begun. */
  #held: HeldCalls | undefined
  readonly #flushes = new Flushes()

  private constructor(port: Port, identity: EndpointIdentity, onReported?: () => void) {
    this.local = identity.local
    this.remote = identity.remote
    this.encrypted = identity.encrypted
    this.serverName = identity.serverName
    this.tls = identity.tls
    this.isVisit = onReported !== undefined
    this.#onReported = onReported
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
    const unix = isUnix(options.tls?.raw ?? socket)
    const port = new SocketPort(socket, options.tls, unix, options.onGone)
    const endpoint = new StreamEndpoint(port, identify(socket, unix, options))
    if (head !== undefined) endpoint.#inbox.unread.push(Buffer.from(head))
    return endpoint
  }

  /** Makes an endpoint of a visit. `onReported` is called when it is no longer {@link inJoin}. */
  static ofVisit(port: Port, carrier: EndpointIdentity, onReported: () => void): StreamEndpoint {
    return new StreamEndpoint(port, carrier, onReported)
  }

  /** In a join whose end has not been told: `onEnd` is yet to be called. */
  get inJoin(): boolean {
    return this.#unreported || this.#held !== undefined
  }

  /** Takes the pending read, if any, and what is unread; for directions driven by the caller. */
  get inbox(): Inbox {
    return this.#inbox
  }

  peek(n: number, deadlineMs: number): Promise<Buffer> {
    if (!(n >= 0 && n <= readAhead)) return rejected('ERR_OPTION', `peek of ${n} bytes: 64 KiB is the most`)
    const held = this.#held?.later(() => this.peek(n, deadlineMs))
    return held ?? this.#refuseReads() ?? this.#inbox.start({ kind: 'peek', n }, deadlineMs)
  }

  readHead(findEnd: FindEnd, limit: number, deadlineMs: number): Promise<Buffer> {
    const held = this.#held?.later(() => this.readHead(findEnd, limit, deadlineMs))
    return held ?? this.#refuseReads() ?? this.#inbox.start({ kind: 'head', findEnd, limit }, deadlineMs)
  }

  read(deadlineMs: number, max = 65_536): Promise<Buffer> {
    if (!(max >= 1)) return rejected('ERR_OPTION', `read of at most ${max} bytes`)
    const held = this.#held?.later(() => this.read(deadlineMs, max))
    return held ?? this.#refuseReads() ?? this.#inbox.start({ kind: 'read', max }, deadlineMs)
  }

  unread(bytes: Buffer): void {
    if (this.#held === undefined) this.#inbox.unread.unshift(bytes)
    else this.#held.push(() => this.unread(bytes))
  }

  write(bytes: Uint8Array): void {
    if (this.#held !== undefined) {
      const copy = Buffer.from(bytes)
      this.#held.push(() => this.write(copy))
      return
    }
    if (bytes.length === 0 || this.#state === 'closed' || (this.#state === 'joined' && !this.#caller?.writes)) return
    // A copy, as Node keeps what it can't write at once, and the caller may use its buffer again.
    this.#port.write(Buffer.from(bytes))
    if (this.#port.pending <= maxPendingWrites) return
    const error = new MillraceError('ERR_ENDPOINT_WRITE_OVERFLOW', String(maxPendingWrites))
    const caller = this.#caller
    if (caller === undefined) this.#port.reset()
    this.#close(error)
    caller?.onOverflow()
  }

  flushed(): Promise<void> {
    if (this.#held !== undefined) return this.#held.later(() => this.flushed())
    const error = this.#writeError()
    if (error !== undefined) return Promise.reject(error)
    if (this.#port.pending === 0) return Promise.resolve()
    return this.#flushes.wait()
  }

  onClosed(callback: (how: ClosedHow) => void): void {
    if (this.#state !== 'open' || this.#held !== undefined) return
    this.#closedCall.set(callback)
    this.#port.arm()
    process.nextTick(() => this.#tellClosed())
  }

  /** `why` is for the peer of a visit. */
  destroy(how: 'fin' | 'reset' = 'fin', why?: LaneReset): void {
    if (this.#state !== 'open' || this.#held !== undefined) return
    if (how === 'reset') this.#port.reset(why)
    else this.#port.linger()
    this.#close(new MillraceError('ERR_ENDPOINT_CLOSED'))
  }

  /**
   * Why this endpoint cannot be joined or secured, if it cannot: the caller destroyed it, joined it already or waits
   * for a read. What a peer did is no reason.
   */
  unusable(): MillraceError | undefined {
    if (this.#state === 'closed' && this.#closedBy?.code === 'ERR_ENDPOINT_CLOSED') return this.#closedBy
    if (this.#state === 'joined' || this.#held !== undefined) return new MillraceError('ERR_ENDPOINT_JOINED')
    return this.#inbox.busy ? new MillraceError('ERR_ENDPOINT_BUSY') : undefined
  }

  /** Takes it for a join that can't begin yet: from now on it is joined, and what the caller asks of it waits. */
  hold(): void {
    this.#closedCall.forget()
    this.#held = new HeldCalls()
  }

  /** Ends {@link hold}. What has waited is to be run once the join has begun, or has failed. */
  letGo(): HeldCalls | undefined {
    const held = this.#held
    this.#held = undefined
    return held
  }

  /**
   * Hands the port and the unread bytes to a join, which then calls {@link joinFailed}, {@link joinEnded} or
   * {@link takeBack}, and {@link joinReported}.
   */
  release(caller: CallerPart | undefined): { readonly port: Port; readonly unread: readonly Buffer[] } {
    const port = this.#port
    if (this.#state === 'open') this.#state = 'joined'
    this.#unreported = true
    this.#caller = caller
    this.#closedCall.forget()
    port.reader = port.writer = port.watcher = undefined
    return { port, unread: caller?.reads === true ? [] : this.#inbox.unread.takeAll() }
  }

  /** Hands the socket over, without our listeners, so that a TLS session can be put on it. */
  releaseSocket(): { readonly socket: Socket; readonly unread: readonly Buffer[] } {
    const { port, unread } = this.release(undefined)
    if (!(port instanceof SocketPort)) throw new MillraceError('ERR_OPTION', 'a visit has no connection of its own')
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

  /** The join's `onEnd` has been called, or there is none. */
  joinReported(): void {
    this.#unreported = false
    this.#onReported?.()
  }

  /** The join has taken nothing of it but what is given back here: it is the caller's again. */
  takeBack(unread: readonly Buffer[]): void {
    const port = this.#port
    this.#state = 'open'
    this.#unreported = false
    port.rest()
    port.reader = this.#inbox
    port.writer = port.watcher = this
    for (const chunk of unread.toReversed()) this.#inbox.unread.unshift(chunk)
    this.onWritten()
  }

  onFailed(): void {
    this.#settleFailure()
    this.#tellClosed()
  }

  onWritten(): void {
    if (this.#flushes.waiting && (this.#port.pending === 0 || this.#writeError() !== undefined)) this.#settleFlushes()
  }

  #settleFailure(): void {
    this.#inbox.pullAll()
    this.#inbox.settle()
    this.#settleFlushes()
  }

  #settleFlushes(): void {
    this.#flushes.settle(this.#writeError())
  }

  #tellClosed(): void {
    if (this.#state === 'open') this.#closedCall.tell(this.#port)
  }

  #close(error: MillraceError): void {
    this.#state = 'closed'
    this.#closedBy = error
    this.#closedCall.forget()
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
    return resetError(this.#port.failure)
  }
}
