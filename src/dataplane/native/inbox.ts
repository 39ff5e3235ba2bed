import { MillraceError } from '../../errors.ts'
import { ByteQueue } from '../stream/byte-queue.ts'
import { PendingRead, type ReadWish } from '../stream/pending-read.ts'
import { readStatus } from './events.ts'

/** What an inbox needs to know of its endpoint, and may ask of it. */
export interface InboxOwner {
  /** Asks the engine for one read, which is answered once; `deadlineMs` is counted from now. */
  requestRead(deadlineMs: number): void
  /** Why the endpoint can't be read from at all any more. */
  closedError(): MillraceError | undefined
  /** Why nothing more comes, once what came before has been read. */
  resetError(): MillraceError | undefined
}

/** The receiving half of an endpoint of the engine's: its unread bytes and the one read that may be pending. */
export class NativeInbox {
  readonly unread = new ByteQueue()
  readonly #owner: InboxOwner
  #read: PendingRead | undefined
  #until = Number.POSITIVE_INFINITY
  #ended = false
  /** A read has failed: there is nothing left in the kernel. */
  #exhausted = false

  constructor(owner: InboxOwner) {
    this.#owner = owner
  }

  /** True while a read is pending. */
  get busy(): boolean {
    return this.#read !== undefined
  }

  /** Starts a read, which may be settled at once. */
  start(wish: ReadWish, deadlineMs: number): Promise<Buffer> {
    if (this.#read !== undefined) return Promise.reject(new MillraceError('ERR_ENDPOINT_BUSY'))
    const read = new PendingRead(wish, deadlineMs, () => {})
    this.#until = performance.now() + deadlineMs
    if (!this.#settle(read)) this.#ask(read)
    return read.promise
  }

  /** The engine's answer to a read. */
  onRead(status: number, bytes: Buffer | undefined): void {
    if (bytes !== undefined) this.unread.push(bytes)
    if (status === readStatus.ended) this.#ended = true
    if (status === readStatus.reset) this.#exhausted = true
    const read = this.#read
    if (read === undefined) return
    if (status === readStatus.timedOut) {
      this.#read = undefined
      read.onDue()
    } else if (!this.#settle(read)) this.#ask(read)
  }

  /** Throws everything unread away and fails the pending read, as the endpoint is closed. */
  close(): void {
    this.unread.takeAll()
    if (this.#read !== undefined) this.#settle(this.#read)
  }

  /** The engine keeps the deadline, so that no bytes can be on their way here once it has run out. */
  #ask(read: PendingRead): void {
    this.#read = read
    this.#owner.requestRead(Math.max(0, this.#until - performance.now()))
  }

  #settle(read: PendingRead): boolean {
    const closed = this.#owner.closedError()
    if (closed !== undefined) read.fail(closed)
    else if (!read.trySettle(this.unread, this.#ended)) {
      const error = this.#exhausted ? this.#owner.resetError() : undefined
      if (error === undefined) return false
      read.fail(error)
    }
    this.#read = undefined
    return true
  }
}
