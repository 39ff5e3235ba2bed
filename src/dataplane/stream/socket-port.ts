import type { Socket } from 'node:net'
import { EndCheck } from './end-check.ts'
import type { StreamTls } from './endpoint-parts.ts'
import { isLost, tcpHandle } from './handle.ts'
import { lastWordsMs, lingerBytes, lingerMs, type Port } from './port.ts'
import { errnoOf, type PortReader, type PortWatcher, type PortWriter, truncatedCode } from './port-roles.ts'
import { SentCount } from './sent-count.ts'
import { clearDeadline, setDeadline, type Timed } from './wheel.ts'

/** Limit for a FIN that must leave before a reset can follow, ms. */
const shutdownMs = 1_000

/**
 * A socket (or a TLS session on one) with every event handled, for its whole life: whatever the peer does shows up at
 * the reader, the writer or the watcher of the moment, or nowhere, but never as an unhandled 'error' event.
 */
export class SocketPort implements Port, Timed {
  readonly isVisit = false
  readonly socket: Socket
  readonly #tls: StreamTls | undefined
  /** The TCP or unix socket below a TLS session. */
  readonly #raw: Socket | undefined
  readonly #unix: boolean
  readonly #sent: SentCount
  readonly #onWritten = (): void => this.#written()
  readonly #onReadable = (): void => this.reader?.onReadable()
  readonly #onData = (chunk: Buffer): void => this.#data(chunk)
  reader: PortReader | undefined
  writer: PortWriter | undefined
  watcher: PortWatcher | undefined
  wheelSlot = 0
  #ended: boolean
  #failure: string | undefined
  #mode: 'idle' | 'pull' | 'push' | 'linger' = 'idle'
  #discarded = 0
  #abandoned = false
  #endCheck: EndCheck | undefined

  /** `tls` goes with a TLSSocket; `onGone` is called once, when the descriptor is closed. */
  constructor(socket: Socket, tls: StreamTls | undefined, unix: boolean, onGone: (() => void) | undefined) {
    const raw = tls?.raw
    this.socket = socket
    this.#tls = tls
    this.#raw = raw
    this.#unix = unix
    this.#sent = new SentCount(socket, raw)
    this.#ended = socket.readableEnded
    if (socket.destroyed) this.#failure = errnoOf(socket.errored)
    socket.on('end', () => this.#end())
    socket.on('error', (error) => this.#fail(errnoOf(error)))
    socket.on('close', () => {
      clearDeadline(this)
      // A socket closes by itself, and cleanly, once both of its directions have ended.
      if (!(this.#ended && socket.writableFinished)) this.#fail('')
      onGone?.()
    })
    // Not every error of a server's session comes as 'error' once the handshake is over.
    if (raw !== undefined) socket.on('_tlsError', (error: Error) => socket.destroy(error))
  }

  get ended(): boolean {
    return this.#ended
  }

  get failure(): string | undefined {
    return this.#failure
  }

  get truncated(): boolean {
    return this.#tls?.end.truncated ?? false
  }

  get gone(): boolean {
    return this.socket.destroyed || this.#failure !== undefined
  }

  get lost(): boolean {
    return !this.#unix && !this.socket.writableEnded && isLost(this.#raw ?? this.socket)
  }

  get pending(): number {
    return this.socket.writableLength
  }

  get given(): number {
    return this.#sent.given
  }

  get taken(): number {
    return this.#sent.taken
  }

  /** Node's buffer holds 16 or 64 KiB. */
  arm(): void {
    if (this.#mode !== 'idle') return
    this.#mode = 'pull'
    this.socket.on('readable', this.#onReadable)
  }

  pull(): Buffer | undefined {
    const chunk: unknown = this.socket.read()
    return chunk instanceof Buffer ? chunk : undefined
  }

  flow(): void {
    this.socket.off('readable', this.#onReadable)
    if (this.#mode !== 'push' && this.#mode !== 'linger') this.socket.on('data', this.#onData)
    this.#mode = 'push'
    this.socket.resume()
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  rest(): void {
    if (this.#mode === 'linger') return
    this.#mode = 'idle'
    this.socket.off('readable', this.#onReadable)
    this.socket.off('data', this.#onData)
    this.socket.pause()
  }

  write(bytes: Uint8Array): void {
    const { socket } = this
    if (socket.destroyed || socket.errored !== null || socket.writableEnded) return
    socket.write(bytes, this.#onWritten)
    // Node sets `errored` within the call when the kernel refused the write at once.
    if (socket.errored !== null) this.#sent.refuse(bytes.length)
  }

  /** After close_notify on TLS. */
  end(): void {
    if (!this.socket.destroyed && !this.socket.writableEnded) this.socket.end()
  }

  /** Takes the socket's listeners off, so that a TLS session can be put on it. The port is of no use afterwards. */
  detach(): void {
    clearDeadline(this)
    this.reader = this.writer = this.watcher = undefined
    this.socket.off('readable', this.#onReadable)
    this.socket.off('data', this.#onData)
    this.#endCheck?.cancel()
  }

  /** RST at once (unix sockets have none and close). What is on its way is lost. */
  reset(): void {
    this.#abandon()
    const { socket } = this
    if (socket.writableEnded && !socket.writableFinished && !socket.destroyed) {
      // libuv refuses to reset while it shuts down, and would leave the descriptor open; that takes a turn or two.
      setDeadline(this, shutdownMs)
      socket.once('finish', () => this.#resetNow())
    } else this.#resetNow()
  }

  /** Closing with unread bytes would send RST, and destroy our last words on their way. */
  linger(): void {
    this.reader = this.writer = this.watcher = undefined
    const { socket } = this
    this.#endCheck?.cancel()
    if (socket.destroyed || this.#mode === 'linger') return
    if (socket.writableFinished) setDeadline(this, lingerMs)
    else {
      setDeadline(this, lastWordsMs)
      socket.once('finish', () => setDeadline(this, lingerMs))
      socket.end()
    }
    this.flow()
    this.#mode = 'linger'
  }

  takeBack(): undefined {}

  onDue(): void {
    this.#sent.freeze()
    this.socket.destroy()
  }

  #abandon(): void {
    this.#abandoned = true
    this.#endCheck?.cancel()
    clearDeadline(this)
    this.#sent.freeze()
    this.reader = this.writer = this.watcher = undefined
  }

  #resetNow(): void {
    clearDeadline(this)
    const lowest = this.#raw ?? this.socket
    if (lowest.destroyed || this.#unix) this.socket.destroy()
    else lowest.resetAndDestroy()
    if (this.#raw !== undefined) this.socket.destroy()
  }

  #data(chunk: Buffer): void {
    if (this.#mode !== 'linger') {
      this.reader?.onChunk(chunk)
      return
    }
    this.#discarded += chunk.length
    if (this.#discarded > lingerBytes) this.socket.destroy()
  }

  #end(): void {
    if (this.truncated && this.#mode !== 'linger') {
      // As EndCheck says; and a TLS session doesn't hear of what comes behind its end.
      if (this.#tls?.end.reset === true || this.lost) {
        this.#fail('ECONNRESET')
        return
      }
      this.#tls?.onTruncated()
      if (this.#tls?.resetsWhenTruncated === true) {
        this.#fail(truncatedCode)
        return
      }
    }
    if (this.#mode === 'linger' || this.#unix || tcpHandle(this.#raw ?? this.socket) === undefined) this.#ended = true
    else this.#endCheck = new EndCheck(this.socket, this.#raw, () => this.#confirmedEnd())
    if (this.#ended) this.reader?.onEnd()
  }

  #confirmedEnd(): void {
    this.#ended = true
    this.reader?.onEnd()
  }

  #written(): void {
    this.#sent.acknowledge()
    this.writer?.onWritten()
  }

  #fail(errno: string): void {
    if (this.#failure !== undefined || this.#abandoned) return
    this.#sent.freeze()
    this.#failure = errno
    this.watcher?.onFailed(errno, this)
  }
}
