import type { Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import type { Address, ClosedHow, Endpoint, FindEnd } from '../types.ts'
import { isUnix, localAddress, remoteAddress } from './address.ts'
import { ByteQueue } from './byte-queue.ts'
import { PendingRead, type ReadWish } from './pending-read.ts'
import { Port, type PortReader, type PortWatcher, type PortWriter } from './port.ts'

/** Unread bytes that are pulled from Node without anybody asking, so that a FIN behind them is noticed. */
const readAhead = 65_536
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

/** What a join gets from an endpoint. */
export interface Released {
  readonly port: Port
  /** Bytes to deliver first. */
  readonly unread: readonly Buffer[]
}

/**
 * An endpoint over a Node socket or TLSSocket. Nothing is read before the first read or `onClosed()`. From then on up
 * to 64 KiB are read ahead; a FIN or RST behind more unread bytes than that shows only once they are read.
 */
export class StreamEndpoint implements Endpoint, PortReader, PortWriter, PortWatcher {
  readonly local: Address
  readonly remote: Address
  readonly encrypted: boolean
  readonly serverName: string
  readonly #port: Port
  readonly #unread = new ByteQueue()
  /** `driven`: in a join, but in directions that the caller drives this side still reads or writes for itself. */
  #state: 'open' | 'joined' | 'driven' | 'closed' = 'open'
  #closedBy: MillraceError | undefined
  #read: PendingRead | undefined
  #onClosed: ((how: ClosedHow) => void) | undefined
  #toldFin = false
  #flushes: { resolve: () => void; reject: (error: MillraceError) => void }[] = []

  private constructor(socket: Socket, options: StreamEndpointOptions) {
    const unix = isUnix(options.raw ?? socket)
    this.local = options.local ?? localAddress(socket, unix)
    this.remote = options.remote ?? remoteAddress(socket, unix)
    this.encrypted = options.raw !== undefined
    this.serverName = options.serverName ?? ''
    this.#port = new Port(socket, options.raw, unix, options.onGone)
    this.#port.reader = this.#port.writer = this.#port.watcher = this
  }

  /**
   * Makes an endpoint of a connected socket whose bytes nobody else reads; `head` are bytes already read from it.
   * Half-open connections must be allowed (`allowHalfOpen`), or Node answers every FIN with a FIN.
   */
  static fromSocket(socket: Socket, head?: Uint8Array, options: StreamEndpointOptions = {}): StreamEndpoint {
    const endpoint = new StreamEndpoint(socket, options)
    if (head !== undefined) endpoint.#unread.push(Buffer.from(head))
    return endpoint
  }

  peek(n: number, deadlineMs: number): Promise<Buffer> {
    if (!(n >= 0 && n <= readAhead)) return rejected('ERR_OPTION', `peek of ${n} bytes: 64 KiB is the most`)
    return this.#start({ kind: 'peek', n }, deadlineMs)
  }

  readHead(findEnd: FindEnd, limit: number, deadlineMs: number): Promise<Buffer> {
    return this.#start({ kind: 'head', findEnd, limit }, deadlineMs)
  }

  read(deadlineMs: number, max = 65_536): Promise<Buffer> {
    if (!(max >= 1)) return rejected('ERR_OPTION', `read of at most ${max} bytes`)
    return this.#start({ kind: 'read', max }, deadlineMs)
  }

  unread(bytes: Buffer): void {
    this.#unread.unshift(bytes)
  }

  write(bytes: Uint8Array): void {
    if (this.#state === 'closed' || this.#state === 'joined' || bytes.length === 0) return
    this.#port.write(bytes)
    if (this.#port.pending <= maxPendingWrites) return
    this.#close('reset', new MillraceError('ERR_ENDPOINT_WRITE_OVERFLOW', String(maxPendingWrites)))
  }

  flushed(): Promise<void> {
    const error = this.#writeError()
    if (error !== undefined) return Promise.reject(error)
    if (this.#port.pending === 0) return Promise.resolve()
    return new Promise((resolve, reject) => this.#flushes.push({ resolve, reject }))
  }

  onClosed(callback: (how: ClosedHow) => void): void {
    this.#onClosed = callback
    if (this.#state !== 'open') return
    this.#port.arm()
    process.nextTick(() => this.#tellClosed())
  }

  destroy(how: 'fin' | 'reset' = 'fin'): void {
    if (this.#state === 'open') this.#close(how, new MillraceError('ERR_ENDPOINT_CLOSED'))
  }

  /**
   * Why this endpoint cannot be joined or secured, if it cannot: the caller destroyed it, joined it already or waits
   * for a read. What a peer did is no reason.
   */
  unusable(): MillraceError | undefined {
    if (this.#state === 'closed' && this.#closedBy?.code === 'ERR_ENDPOINT_CLOSED') return this.#closedBy
    if (this.#state === 'joined' || this.#state === 'driven') return new MillraceError('ERR_ENDPOINT_JOINED')
    return this.#read === undefined ? undefined : new MillraceError('ERR_ENDPOINT_BUSY')
  }

  /**
   * Hands the socket and the unread bytes to a join. `keepReading` and `keepWriting` leave that side of the port with
   * this endpoint, for directions driven by the caller; {@link joinEnded} must be called then.
   */
  release(keepReading: boolean, keepWriting: boolean): Released {
    const port = this.#port
    if (this.#state === 'open') this.#state = keepReading || keepWriting ? 'driven' : 'joined'
    this.#onClosed = undefined
    if (!keepReading) port.reader = undefined
    if (!keepWriting) port.writer = undefined
    port.watcher = undefined
    return { port, unread: keepReading ? [] : this.#unread.takeAll() }
  }

  /** Hands the socket over, without our listeners, so that a TLS session can be put on it. */
  releaseSocket(): { readonly socket: Socket; readonly unread: readonly Buffer[] } {
    const { port, unread } = this.release(false, false)
    port.detach()
    return { socket: port.socket, unread }
  }

  /** The join is over: what the caller still awaits is rejected. */
  joinEnded(): void {
    if (this.#state !== 'driven') return
    this.#state = 'closed'
    this.#closedBy = this.#resetError() ?? new MillraceError('ERR_ENDPOINT_CLOSED')
    this.#settleAll()
  }

  /** A join tells an endpoint that the caller drives that its connection failed. */
  onFailed(): void {
    this.#pullAll()
    this.#settleAll()
    this.#tellClosed()
  }

  onReadable(): void {
    this.#fill()
    this.#settle()
  }

  onChunk(chunk: Buffer): void {
    this.#unread.push(chunk)
  }

  onEnd(): void {
    this.#settle()
    this.#tellClosed()
  }

  onWritten(): void {
    if (this.#flushes.length > 0 && (this.#port.pending === 0 || this.#writeError() !== undefined))
      this.#settleFlushes()
  }

  #start(wish: ReadWish, deadlineMs: number): Promise<Buffer> {
    if (this.#state === 'joined') return rejected('ERR_ENDPOINT_JOINED')
    if (this.#read !== undefined) return rejected('ERR_ENDPOINT_BUSY')
    const read = new PendingRead(wish, deadlineMs, () => {
      this.#read = undefined
    })
    this.#read = read
    this.#fill()
    this.#settle()
    if (this.#read === read) {
      read.wait()
      this.#port.arm()
    }
    return read.promise
  }

  /** Pulls what Node has read, as far as somebody needs it or it may be read ahead. */
  #fill(): void {
    if (this.#port.failure !== undefined || this.#state === 'closed') return
    const reach = Math.max(readAhead, this.#read?.reach ?? 0)
    while (this.#unread.length < reach) {
      const chunk = this.#port.pull()
      if (chunk === undefined) return
      this.#unread.push(chunk)
    }
  }

  /** After a failure: what had arrived before it is still readable. */
  #pullAll(): void {
    for (let chunk = this.#port.pull(); chunk !== undefined; chunk = this.#port.pull()) this.#unread.push(chunk)
  }

  #settle(): void {
    const read = this.#read
    if (read === undefined) return
    const closed = this.#state === 'closed' ? this.#closedBy : undefined
    if (closed !== undefined) read.fail(closed)
    else if (!read.trySettle(this.#unread, this.#port.ended)) {
      const error = this.#resetError()
      if (error === undefined) return
      read.fail(error)
    }
    this.#read = undefined
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

  #settleAll(): void {
    this.#settle()
    this.#settleFlushes()
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

  #close(how: 'fin' | 'reset', error: MillraceError): void {
    this.#state = 'closed'
    this.#closedBy = error
    this.#onClosed = undefined
    this.#unread.takeAll()
    if (how === 'reset') this.#port.reset()
    else this.#port.linger()
    this.#settleAll()
  }

  #writeError(): MillraceError | undefined {
    if (this.#state === 'closed') return this.#closedBy
    if (this.#state === 'joined') return new MillraceError('ERR_ENDPOINT_JOINED')
    return this.#resetError()
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
