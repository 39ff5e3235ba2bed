import type { Socket } from 'node:net'
import { isLost, setReading } from './handle.ts'
import { patternAt, patternFault } from './pattern.ts'
import { patienceMs, sleep } from './wait.ts'

/** What a peer saw, in the order it saw it. `closed` is the end of the socket object. */
export type PeerEvent = 'fin' | 'rst' | 'closed'

/** How long a write may wait for a reader, ms. */
const bulkPatienceMs = 120_000

/**
 * One far end of a join: a Node socket that keeps half-open connections, checks every byte by its position and
 * writes down the order of FIN and RST. Stalling is `pause()`: Node cannot set SO_RCVBUF, and a reader that does not
 * read fills whatever buffer there is. `raw` is the plain socket below a TLS one.
 */
export class Peer {
  readonly socket: Socket
  readonly name: string
  readonly events: PeerEvent[] = []
  /** The system's word on the reset, '' without one. */
  errno = ''
  /** Bytes received, all checked. */
  received = 0
  /** Bytes given to the socket. */
  sent = 0
  readonly #raw: Socket
  readonly #tcp: boolean
  readonly #sendSeed: number
  readonly #receiveSeed: number
  #fault: Error | undefined
  #stalled = false
  #waiting: (() => void)[] = []

  constructor(socket: Socket, name: string, sendSeed: number, receiveSeed: number, raw = socket) {
    this.socket = socket
    this.#raw = raw
    // Asked while the peer is surely there.
    this.#tcp = raw.remoteAddress !== undefined
    this.name = name
    this.#sendSeed = sendSeed
    this.#receiveSeed = receiveSeed
    socket.on('data', (bytes: Buffer) => {
      this.#check(bytes)
    })
    socket.on('drain', () => {
      this.#wake()
    })
    socket.on('end', () => {
      // libuv reports an end, too, when bytes and a reset arrive together; the kernel then knows no peer any more.
      if (this.#tcp && !socket.writableEnded && isLost(raw)) {
        this.errno = 'ECONNRESET'
        this.#saw('rst')
        socket.destroy()
      } else this.#saw('fin')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errno = error.code ?? error.message
      this.#saw('rst')
    })
    socket.on('close', () => {
      this.#saw('closed')
    })
  }

  /** True once the socket object is gone. */
  get closed(): boolean {
    return this.events.includes('closed')
  }

  /** True once a FIN was read. */
  get ended(): boolean {
    return this.events.includes('fin')
  }

  /** True once a read or write failed. */
  get wasReset(): boolean {
    return this.events.includes('rst')
  }

  /** Bytes that the kernel has taken from this peer. */
  get accepted(): number {
    return this.socket.bytesWritten - this.socket.writableLength
  }

  /** Writes the next bytes of the pattern. Resolves with whether the kernel took them all. */
  async send(length: number, chunk = 65_536): Promise<boolean> {
    let flushed = length === 0
    for (let left = length; left > 0 && this.socket.writable; ) {
      const part = patternAt(this.#sendSeed, this.sent, Math.min(left, chunk))
      left -= part.length
      this.sent += part.length
      this.socket.write(part, () => {
        flushed = left === 0
        this.#wake()
      })
      if (this.socket.writableNeedDrain) {
        await this.until('drain', () => !this.socket.writableNeedDrain || this.closed, bulkPatienceMs)
      }
    }
    await this.until('the last write', () => flushed || this.closed || this.wasReset, bulkPatienceMs)
    return flushed && !this.closed && !this.wasReset
  }

  /** Counts the next bytes of the pattern as sent: they travel as a head. Returns them (length ≤ 1 MiB). */
  sendElsewhere(length: number): Buffer {
    const bytes = patternAt(this.#sendSeed, this.sent, length)
    this.sent += length
    return bytes
  }

  /** Sends FIN behind everything written. */
  end(): void {
    if (this.socket.writable) this.socket.end()
  }

  /** RST at once, or right behind a FIN that is still to leave; unix sockets, which have none, close. */
  reset(): void {
    const { socket } = this
    if (!this.#tcp) this.#raw.destroy()
    else if (!socket.writableEnded || socket.writableFinished) this.#raw.resetAndDestroy()
    // libuv refuses to reset while it shuts down, and Node then never closes the descriptor.
    else socket.once('finish', () => this.#raw.resetAndDestroy())
  }

  /** Stops reading, so that the window closes. */
  stall(): void {
    this.#stalled = true
    this.socket.pause()
    // pause() alone lets libuv read on until Node's buffer is full, and a reset would then destroy that buffer.
    const stop = (): void => {
      if (this.#stalled) setReading(this.socket, false)
    }
    stop()
    // A resume() of a moment ago acts only now.
    process.nextTick(stop)
  }

  /** Reads on. */
  resume(): void {
    this.#stalled = false
    this.socket.resume()
    setReading(this.socket, true)
  }

  /** Waits until `test` holds; fails at once when a wrong byte was received. */
  async until(what: string, test: () => boolean, ms = patienceMs): Promise<void> {
    const end = performance.now() + ms
    while (!test()) {
      if (this.#fault !== undefined) throw this.#fault
      const left = end - performance.now()
      if (left <= 0) throw new Error(`${this.name}: still waiting after ${ms} ms: ${what}; ${this.describe()}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#waiting.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    if (this.#fault !== undefined) throw this.#fault
  }

  /** Waits for `total` bytes in all. */
  async untilReceived(total: number): Promise<void> {
    await this.until(`${total} bytes`, () => this.received >= total)
    if (this.received > total) throw new Error(`${this.name}: ${this.received} bytes instead of ${total}`)
  }

  /** Waits for FIN, which must come behind exactly `total` bytes and without a reset before it. */
  async untilFin(total: number): Promise<void> {
    await this.until('FIN', () => this.ended || this.closed)
    if (!this.ended) throw new Error(`${this.name}: no FIN; ${this.describe()}`)
    if (this.received !== total) throw new Error(`${this.name}: FIN after ${this.received} bytes, not ${total}`)
  }

  /** Waits for a reset. Node does not look at a socket after its FIN, so this writes to notice. */
  async untilReset(): Promise<void> {
    const end = performance.now() + patienceMs
    while (!this.wasReset && performance.now() < end) {
      if (this.#fault !== undefined) throw this.#fault
      if (this.ended && this.socket.writable) this.socket.write(patternAt(this.#sendSeed, this.sent++, 1))
      else if (this.closed) break
      await sleep(5)
    }
    if (!this.wasReset) throw new Error(`${this.name}: no reset; ${this.describe()}`)
  }

  /** Waits for the end of a connection that was cut. Over TCP that is a reset and no FIN: nobody takes it for complete. */
  async untilCut(): Promise<void> {
    const how = await this.untilOver()
    if (this.#tcp && how === 'fin') throw new Error(`${this.name}: cut by a FIN; ${this.describe()}`)
  }

  /** Waits until nothing more can come: FIN or reset. Returns which it was. */
  async untilOver(): Promise<'fin' | 'rst'> {
    await this.until('FIN or RST', () => this.events.length > 0)
    return this.ended ? 'fin' : 'rst'
  }

  /** One line about what happened to this peer. */
  describe(): string {
    return `received ${this.received}, sent ${this.sent}, events [${this.events.join(' ')}] ${this.errno}`.trimEnd()
  }

  #check(bytes: Buffer): void {
    const fault = patternFault(this.#receiveSeed, this.received, bytes)
    this.received += bytes.length
    if (fault !== '' && this.#fault === undefined) {
      this.#fault = new Error(`${this.name}: ${fault}`)
      this.socket.destroy()
    }
    this.#wake()
  }

  #saw(event: PeerEvent): void {
    this.events.push(event)
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
