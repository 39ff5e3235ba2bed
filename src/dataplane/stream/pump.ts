import type { DirectionOptions } from '../types.ts'
import { ByteQueue } from './byte-queue.ts'
import { Direction, type DirectionOwner } from './direction.ts'
import type { Port } from './port.ts'
import type { RateWaiter, StreamRateLimit } from './rate-limit.ts'

/** Bytes beyond `maxBytes` that are read and thrown away before the source is no longer read. */
const maxDiscarded = 65_536

/**
 * A direction whose bytes the data plane moves. One write is under way at a time, and while it is the source stands
 * still: a join keeps that write, one chunk more and Node's read-ahead in memory, about 200 KiB at most.
 */
export class Pump extends Direction implements RateWaiter {
  readonly #rate: StreamRateLimit | undefined
  /** Bytes on their way from the source to the sink. */
  readonly #queue = new ByteQueue()
  /** What came after `maxBytes`, as long as it may have to be given back. */
  readonly #beyond = new ByteQueue()
  /** Bytes that the direction may still carry. */
  #left: number
  #discarded = 0
  #paused = false

  constructor(
    source: Port,
    sink: Port,
    owner: DirectionOwner,
    options: DirectionOptions,
    rate: StreamRateLimit | undefined,
  ) {
    super(source, sink, owner)
    this.#rate = rate
    this.#left = options.maxBytes ?? Number.POSITIVE_INFINITY
  }

  /** Delivers the head and starts reading. */
  start(head: readonly Buffer[]): void {
    this.sink.writer = this
    this.source.reader = this
    for (const chunk of head) this.#accept(chunk)
    if (this.#left === 0) this.close('no-fin')
    if (this.source.ended) this.onEnd()
    else if (!this.source.gone) this.source.flow()
    this.#pump()
  }

  override stop(): void {
    super.stop()
    this.#rate?.forget(this)
    this.#queue.takeAll()
    this.#beyond.takeAll()
    this.source.pause()
  }

  override takeBack(): readonly Buffer[] | undefined {
    const written = super.takeBack()
    return written && [...written, ...this.#queue.takeAll(), ...this.#beyond.takeAll()]
  }

  override sourceGone(): void {
    for (let chunk = this.source.pull(); chunk !== undefined; chunk = this.source.pull()) this.#accept(chunk)
    this.#pump()
    super.sourceGone()
  }

  onReadable(): void {}

  onChunk(chunk: Buffer): void {
    if (this.stopped) return
    this.#accept(chunk)
    // Node resumes by itself a turn after its 'readable' listener went: say it again.
    if (this.#paused) this.source.pause()
    this.#pump()
  }

  override onEnd(): void {
    super.onEnd()
    this.close('fin')
  }

  override onWritten(): void {
    this.touch()
    if (this.#beyond.length > 0) this.#beyond.takeAll()
    this.#pump()
  }

  onAllowance(): void {
    this.#pump()
  }

  protected override drained(): boolean {
    return this.#queue.length === 0 && super.drained()
  }

  /** Keeps what belongs to the direction, throws away what comes after `maxBytes`. */
  #accept(chunk: Buffer): void {
    this.touch()
    if (chunk.length <= this.#left) {
      this.#left -= chunk.length
      this.#queue.push(chunk)
      return
    }
    this.#queue.push(chunk.subarray(0, this.#left))
    this.#discarded += chunk.length - this.#left
    if (this.sink.isVisit && this.sink.taken === 0) this.#beyond.push(chunk.subarray(this.#left))
    this.#left = 0
  }

  /** The source stands still: what happens to it goes unnoticed. */
  get paused(): boolean {
    return this.#paused
  }

  #pump(): void {
    if (this.stopped) return
    while (this.#queue.length > 0 && this.sink.pending === 0) {
      const allowed = this.#rate === undefined ? this.#queue.length : this.#rate.take(this.#queue.length)
      if (allowed === 0) {
        this.#rate?.wait(this)
        break
      }
      this.sink.write(this.#queue.takePiece(allowed))
    }
    this.#throttle()
    if (this.#left === 0) this.close('no-fin')
    else this.settle()
  }

  #throttle(): void {
    const pause = this.#queue.length > 0 || this.sink.pending > 0 || this.#discarded > maxDiscarded
    if (pause === this.#paused) return
    this.#paused = pause
    if (pause) {
      this.source.pause()
      this.owner.onPaused()
    } else this.source.resume()
  }
}
