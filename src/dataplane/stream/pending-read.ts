import { MillraceError } from '../../errors.ts'
import type { FindEnd } from '../types.ts'
import type { ByteQueue } from './byte-queue.ts'
import { clearDeadline, setDeadline, type Timed } from './wheel.ts'

/** What a read waits for. */
export type ReadWish =
  | { readonly kind: 'peek'; readonly n: number }
  | { readonly kind: 'head'; readonly findEnd: FindEnd; readonly limit: number }
  | { readonly kind: 'read'; readonly max: number }

/** One read that an endpoint has promised. */
export class PendingRead implements Timed {
  readonly promise: Promise<Buffer>
  wheelSlot = 0
  readonly #wish: ReadWish
  readonly #deadlineMs: number
  readonly #onTimeout: () => void
  #resolve: (bytes: Buffer) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  /** `onTimeout` is called after the rejection with ERR_ENDPOINT_READ_TIMEOUT. */
  constructor(wish: ReadWish, deadlineMs: number, onTimeout: () => void) {
    this.#wish = wish
    this.#deadlineMs = deadlineMs
    this.#onTimeout = onTimeout
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Starts the deadline: only for reads that could not be settled at once. */
  wait(): void {
    if (Number.isFinite(this.#deadlineMs)) setDeadline(this, this.#deadlineMs)
  }

  /** How many unread bytes may be needed at once to settle it. */
  get reach(): number {
    if (this.#wish.kind === 'head') return this.#wish.limit
    return this.#wish.kind === 'peek' ? this.#wish.n : 1
  }

  /** Settles the read from the unread bytes if they suffice, or if the peer has ended. True when settled. */
  trySettle(unread: ByteQueue, ended: boolean): boolean {
    const wish = this.#wish
    switch (wish.kind) {
      case 'peek':
        return (unread.length >= wish.n || ended) && this.#fulfil(unread.view().subarray(0, wish.n))
      case 'read':
        return (unread.length > 0 || ended) && this.#fulfil(unread.takePiece(wish.max))
      case 'head':
        return this.#tryHead(wish.findEnd, wish.limit, unread, ended)
    }
  }

  fail(error: unknown): true {
    clearDeadline(this)
    this.#reject(error)
    return true
  }

  onDue(): void {
    this.fail(new MillraceError('ERR_ENDPOINT_READ_TIMEOUT', String(this.#deadlineMs)))
    this.#onTimeout()
  }

  #fulfil(bytes: Buffer): true {
    clearDeadline(this)
    this.#resolve(bytes)
    return true
  }

  #tryHead(findEnd: FindEnd, limit: number, unread: ByteQueue, ended: boolean): boolean {
    let length = 0
    try {
      if (unread.length > 0) length = findEnd(unread.view().subarray(0, limit))
    } catch (error) {
      return this.fail(error)
    }
    if (length > 0) return this.#fulfil(unread.take(Math.min(length, unread.length)))
    if (unread.length >= limit) return this.fail(new MillraceError('ERR_ENDPOINT_HEAD_TOO_LARGE', String(limit)))
    return ended && this.fail(new MillraceError('ERR_ENDPOINT_ENDED', String(unread.length)))
  }
}
