import { MillraceError } from '../../errors.ts'
import type { StreamEndpoint } from '../stream/endpoint.ts'
import { rejected, resetError } from '../stream/endpoint-errors.ts'
import { HeldCalls } from '../stream/held-calls.ts'
import type { ReadWish } from '../stream/pending-read.ts'
import type { Address, ClosedHow, Endpoint, FindEnd, TlsAgreement } from '../types.ts'
import { ClosedNotice } from './closed-notice.ts'
import { type Core, type EndpointEvents, errnoName } from './core.ts'
import type { HandedOver, NativeEndpointOptions, Secured, VisitSeat } from './endpoint-parts.ts'
import { type AddressSource, readStatus, toAddress } from './events.ts'
import { FlushQueue } from './flush-queue.ts'
import { type InboxOwner, NativeInbox } from './inbox.ts'
import type { Heir } from './move.ts'

/** The most that one read of the engine's brings; also the most that peek can be asked for. */
const maxRead = 65_536
/** Endpoint::kMaxQueued in native/engine/endpoint.h. */
const maxPendingWrites = 1_048_576

const none: NativeEndpointOptions = {}

/**
 * An endpoint whose descriptor the engine owns. Bytes that were read and not taken wait here and go along as the head
 * of a join.
 */
export class NativeEndpoint implements Endpoint, EndpointEvents, InboxOwner {
  readonly id: number
  readonly #core: Core
  readonly #local: AddressSource
  readonly #remote: AddressSource
  /** Made on first use, as what follows: many endpoints are accepted, joined, and never read or written here. */
  #inbox: NativeInbox | undefined
  #flushes: FlushQueue | undefined
  /** `driven`: in a join, but with directions for which the caller still reads or writes here. */
  #state: 'open' | 'joined' | 'driven' | 'moving' | 'closed' = 'open'
  #closedBy: MillraceError | undefined
  /** The connection broke; what came before may still be unread, until a read has failed. */
  #failure: string | undefined
  readonly #closed: ClosedNotice
  readonly #secured: Secured | undefined
  readonly #seat: VisitSeat | undefined
  #heir: Heir | undefined
  #moved: StreamEndpoint | undefined
  /** What the caller asked for on the way to streams. */
  #held: HeldCalls | undefined

  constructor(core: Core, id: number, local: AddressSource, remote: AddressSource, options = none) {
    this.id = id
    this.#core = core
    this.#local = local
    this.#remote = remote
    this.#secured = options.secured
    this.#closed = options.closed ?? new ClosedNotice()
    this.#flushes = options.flushes
    this.#seat = options.seat
    if (this.#seat === undefined) core.addEndpoint(id, this)
  }

  get isVisit(): boolean {
    return this.#seat !== undefined
  }

  /** What makes it a TLS one. */
  get secured(): Secured | undefined {
    return this.#secured
  }

  get encrypted(): boolean {
    return this.#secured !== undefined
  }

  get serverName(): string {
    return this.#secured?.serverName ?? ''
  }

  get tls(): TlsAgreement | undefined {
    return this.#secured?.tls
  }

  /** Nobody has taken it, and its connection is not known to be gone. */
  get open(): boolean {
    return this.#state === 'open'
  }

  get local(): Address {
    return toAddress(this.#local)
  }

  get remote(): Address {
    return toAddress(this.#remote)
  }

  peek(n: number, deadlineMs: number): Promise<Buffer> {
    if (this.#moved !== undefined) return this.#moved.peek(n, deadlineMs)
    if (this.#state === 'moving') return this.#waiting().later(() => this.peek(n, deadlineMs))
    if (!(n >= 0 && n <= maxRead)) return rejected('ERR_OPTION', `peek of ${n} bytes: 64 KiB is the most`)
    return this.#start({ kind: 'peek', n }, deadlineMs)
  }

  readHead(findEnd: FindEnd, limit: number, deadlineMs: number): Promise<Buffer> {
    if (this.#moved !== undefined) return this.#moved.readHead(findEnd, limit, deadlineMs)
    if (this.#state === 'moving') return this.#waiting().later(() => this.readHead(findEnd, limit, deadlineMs))
    return this.#start({ kind: 'head', findEnd, limit }, deadlineMs)
  }

  read(deadlineMs: number, max = maxRead): Promise<Buffer> {
    if (this.#moved !== undefined) return this.#moved.read(deadlineMs, max)
    if (this.#state === 'moving') return this.#waiting().later(() => this.read(deadlineMs, max))
    if (!(max >= 1)) return rejected('ERR_OPTION', `read of at most ${max} bytes`)
    return this.#start({ kind: 'read', max }, deadlineMs)
  }

  unread(bytes: Buffer): void {
    if (this.#moved !== undefined) this.#moved.unread(bytes)
    else if (this.#state === 'moving') this.#waiting().push(() => this.unread(bytes))
    else this.#receiver().unread.unshift(bytes)
  }

  write(bytes: Uint8Array): void {
    if (this.#moved !== undefined) this.#moved.write(bytes)
    else if (this.#state === 'moving') {
      const copy = Buffer.from(bytes)
      this.#waiting().push(() => this.write(copy))
    } else if ((this.#state === 'open' || this.#state === 'driven') && bytes.length > 0) {
      this.#flusher().noteWrite()
      if (this.#seat?.begin(bytes) !== true) this.#core.addon.write(this.id, bytes)
    }
  }

  flushed(): Promise<void> {
    if (this.#moved !== undefined) return this.#moved.flushed()
    if (this.#state === 'moving') return this.#waiting().later(() => this.flushed())
    if (this.#state === 'joined') return Promise.reject(new MillraceError('ERR_ENDPOINT_JOINED'))
    const error = this.#state === 'closed' ? this.#closedBy : this.resetError()
    return error === undefined ? this.#flusher().wait() : Promise.reject(error)
  }

  onClosed(callback: (how: ClosedHow) => void): void {
    this.#closed.listen(callback)
    this.begin()
    if (this.#state === 'open') process.nextTick(() => this.#tellClosed())
  }

  destroy(how: 'fin' | 'reset' = 'fin'): void {
    if (this.#moved !== undefined) this.#moved.destroy(how)
    if (this.#state !== 'open') return
    if (this.#seat === undefined) this.#core.addon.destroy(this.id, how === 'reset')
    else this.#seat.leave(how === 'reset')
    this.#close(new MillraceError('ERR_ENDPOINT_CLOSED'))
  }

  /**
   * Why this endpoint cannot be joined or secured, if it cannot: the caller destroyed it, joined it already or waits
   * for a read. What a peer did is no reason.
   */
  unusable(): MillraceError | undefined {
    if (this.#state === 'closed' && this.#closedBy?.code === 'ERR_ENDPOINT_CLOSED') return this.#closedBy
    if (this.#state !== 'open' && this.#state !== 'closed') return new MillraceError('ERR_ENDPOINT_JOINED')
    return this.#inbox?.busy === true ? new MillraceError('ERR_ENDPOINT_BUSY') : undefined
  }

  /** Gives the unread bytes to a join. `driven`: the caller goes on using this side, until {@link joinEnded}. */
  enterJoin(driven: boolean, keepUnread: boolean): Buffer | undefined {
    this.#closed.forget()
    if (this.#state === 'open') this.#state = driven ? 'driven' : 'joined'
    if (!driven) this.#quit()
    return keepUnread ? undefined : this.#takeUnread()
  }

  /** A visit that has not begun does so. */
  begin(): void {
    if (this.#state === 'open') this.#seat?.begin()
  }

  /** What the OPEN of a visit is to carry that has not begun: whoever takes it has to begin it. */
  takeStart(): Uint8Array | undefined {
    return this.#seat?.takeStart()
  }

  /** The join that it was in has taken nothing of it: it is as it was before, with `head`. */
  comeBack(head: Buffer | undefined): void {
    this.#state = 'open'
    this.#core.addEndpoint(this.id, this)
    if (head !== undefined) this.#receiver().unread.unshift(head)
  }

  /** Leaves everything to a TLS handshake or a lane, which takes its place in the core. It is usable and open. */
  handOver(): HandedOver {
    this.#closed.forget()
    this.#state = 'joined'
    const unread = this.#takeUnread()
    return { local: this.#local, remote: this.#remote, unread, flushes: this.#flushes, closed: this.#closed }
  }

  /** Takes it for a join that can't begin yet: from now on it is joined, and what the caller asks of it waits. */
  hold(): void {
    this.#closed.forget()
    if (this.#state === 'open') this.#state = 'moving'
  }

  /** Ends {@link hold}. What has waited is to be run once the join has begun, or has failed. */
  letGo(): HeldCalls | undefined {
    if (this.#state === 'moving') this.#state = 'open'
    return this.#held
  }

  /** The join is over: what the caller still awaits is rejected. */
  joinEnded(): void {
    if (this.#state !== 'driven') return
    this.#quit()
    this.#seat?.leave(false)
    this.#close(this.resetError() ?? new MillraceError('ERR_ENDPOINT_CLOSED'))
  }

  /**
   * Asks the engine to give the descriptor up, once what was written is out; what is unread comes back at once. With
   * `replay` the caller may go on using this endpoint, which then waits for {@link settleMove}. Not of a TLS one.
   */
  release(heir: Heir, replay: boolean): readonly Buffer[] {
    this.#closed.forget()
    const unread = this.#inbox?.unread.takeAll() ?? []
    if (this.#state !== 'open') {
      process.nextTick(() => heir.onLost())
      return unread
    }
    this.#state = replay ? 'moving' : 'joined'
    this.#heir = heir
    this.#core.addon.release(this.id)
    return unread
  }

  /** Gives up on {@link release}: the connection is reset, unless the descriptor is on its way already. */
  abandonRelease(): void {
    if (this.#heir !== undefined) this.#core.addon.destroy(this.id, true)
  }

  /** From now on whatever the caller does concerns that endpoint; undefined: the connection was lost on the way. */
  settleMove(moved: StreamEndpoint | undefined): void {
    this.#moved = moved
    if (moved === undefined && this.#state === 'moving') {
      this.#failure ??= 'ECONNRESET'
      this.#close(this.resetError() ?? new MillraceError('ERR_ENDPOINT_CLOSED'))
    }
    this.#held?.run()
  }

  onRead(status: number, bytes: Buffer | undefined): void {
    if (status === readStatus.reset) this.#failure ??= 'ECONNRESET'
    this.#receiver().onRead(status, bytes)
  }

  onFlushed(errno: number): void {
    if (errno !== 0) this.#failure ??= errnoName(errno)
    this.#flushes?.settle(this.resetError())
  }

  onPeerEnded(errno: number): void {
    if (errno !== 0) this.#failure ??= errnoName(errno)
    this.#closed.note(errno === 0 ? 'fin' : 'reset')
    this.#tellClosed()
  }

  onDialed(): void {}
  onSecured(): void {}
  onLaneOpened(): void {}
  onLaneFree(): void {}

  onReleased(fd: number): void {
    this.#core.removeEndpoint(this.id)
    this.#heir?.onReleased(fd)
  }

  onGone(errno: number): void {
    if (this.#heir !== undefined) {
      this.#heir.onLost()
      return
    }
    if (this.#state === 'closed') return
    const overflow = errnoName(errno) === 'ENOBUFS'
    if (!overflow) this.#failure ??= errnoName(errno) || 'ECONNRESET'
    this.#close(
      overflow
        ? new MillraceError('ERR_ENDPOINT_WRITE_OVERFLOW', String(maxPendingWrites))
        : (this.resetError() ?? new MillraceError('ERR_ENDPOINT_CLOSED')),
    )
  }

  requestRead(deadlineMs: number): void {
    this.begin()
    this.#core.addon.read(this.id, maxRead, deadlineMs)
  }

  closedError(): MillraceError | undefined {
    return this.#state === 'closed' ? this.#closedBy : undefined
  }

  resetError(): MillraceError | undefined {
    return resetError(this.#failure)
  }

  #quit(): void {
    if (this.#seat === undefined) this.#core.removeEndpoint(this.id)
    else this.#seat.quit()
  }

  #receiver(): NativeInbox {
    this.#inbox ??= new NativeInbox(this)
    return this.#inbox
  }

  #flusher(): FlushQueue {
    this.#flushes ??= new FlushQueue(() => this.#core.addon.flush(this.id))
    return this.#flushes
  }

  /** Where calls wait while the endpoint is on its way to a join. */
  #waiting(): HeldCalls {
    this.#held ??= new HeldCalls()
    return this.#held
  }

  #start(wish: ReadWish, deadlineMs: number): Promise<Buffer> {
    return this.#state === 'joined' ? rejected('ERR_ENDPOINT_JOINED') : this.#receiver().start(wish, deadlineMs)
  }

  #takeUnread(): Buffer | undefined {
    const unread = this.#inbox?.unread
    return unread === undefined || unread.length === 0 ? undefined : unread.take(unread.length)
  }

  #tellClosed(): void {
    if (this.#state === 'open') this.#closed.tell()
  }

  #close(error: MillraceError): void {
    this.#state = 'closed'
    this.#closedBy = error
    this.#closed.forget()
    this.#inbox?.close()
    this.#flushes?.settle(error)
  }
}
