import { MillraceError } from '../../errors.ts'
import { ByteQueue } from './byte-queue.ts'
import { PendingRead, type ReadWish } from './pending-read.ts'
import type { Port } from './port.ts'
import type { PortReader } from './port-roles.ts'

/** Unread bytes that are pulled from Node without anybody asking, so that a FIN behind them is noticed. */
export const readAhead = 65_536

/** The receiving half of an endpoint: its unread bytes and the one read that may be pending. */
export class Inbox implements PortReader {
  readonly unread = new ByteQueue()
  readonly #port: Port
  readonly #refusal: () => MillraceError | undefined
  readonly #onPeerEnd: () => void
  #read: PendingRead | undefined

  /** `refusal`: why reads fail now, if they do. `onPeerEnd` is called when the peer's FIN has been read. */
  constructor(port: Port, refusal: () => MillraceError | undefined, onPeerEnd: () => void) {
    this.#port = port
    this.#refusal = refusal
    this.#onPeerEnd = onPeerEnd
  }

  /** True while a read is pending. */
  get busy(): boolean {
    return this.#read !== undefined
  }

  /** Starts a read, which may be settled at once. */
  start(wish: ReadWish, deadlineMs: number): Promise<Buffer> {
    if (this.#read !== undefined) return Promise.reject(new MillraceError('ERR_ENDPOINT_BUSY'))
    const read = new PendingRead(wish, deadlineMs, () => {
      this.#read = undefined
    })
    this.#read = read
    this.#fill()
    this.settle()
    if (this.#read === read) {
      read.wait()
      this.#port.arm()
    }
    return read.promise
  }

  /** Settles the pending read if it can be: what has arrived is handed out before a refusal is. */
  settle(): void {
    const read = this.#read
    if (read === undefined) return
    if (!read.trySettle(this.unread, this.#port.ended)) {
      const error = this.#refusal()
      if (error === undefined) return
      read.fail(error)
    }
    this.#read = undefined
  }

  /** After a failure: what had arrived before it stays readable. */
  pullAll(): void {
    for (let chunk = this.#port.pull(); chunk !== undefined; chunk = this.#port.pull()) this.unread.push(chunk)
  }

  /** Throws everything unread away and fails the pending read. */
  close(): void {
    this.unread.takeAll()
    this.#read?.fail(this.#refusal() ?? new MillraceError('ERR_ENDPOINT_CLOSED'))
    this.#read = undefined
  }

  onReadable(): void {
    this.#fill()
    this.settle()
  }

  onChunk(chunk: Buffer): void {
    this.unread.push(chunk)
  }

  onEnd(): void {
    this.settle()
    this.#onPeerEnd()
  }

  /** Pulls what Node has read, as far as somebody needs it or it may be read ahead. */
  #fill(): void {
    if (this.#port.gone) return
    const reach = Math.max(readAhead, this.#read?.reach ?? 0)
    while (this.unread.length < reach) {
      const chunk = this.#port.pull()
      if (chunk === undefined) return
      this.unread.push(chunk)
    }
  }
}
