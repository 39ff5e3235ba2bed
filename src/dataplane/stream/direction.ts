import type { Port } from './port.ts'
import type { PortReader, PortWriter } from './port-roles.ts'
import { now } from './wheel.ts'

/** What a direction tells its join. */
export interface DirectionOwner {
  /** The source sent FIN. */
  onFin(): void
  /** The source is not being read for now. */
  onPaused(): void
  /** Everything is out, and the FIN if there was one to forward. */
  onEnded(): void
  /** After {@link Direction.sourceGone}: everything that the source sent is out. */
  onFlushed(): void
}

/** How a direction closes: by forwarding FIN, without one, or because its source failed. */
export type Closing = 'no' | 'fin' | 'no-fin' | 'reset'

/** What the two kinds of directions share: the count, the times, and the end once the sink has everything. */
export abstract class Direction implements PortReader, PortWriter {
  readonly source: Port
  readonly sink: Port
  protected readonly owner: DirectionOwner
  /** Bytes given to the sink before the join; the count starts there. */
  readonly #base: number
  #closing: Closing = 'no'
  #ended = false
  #stopped = false
  #movedAt = now()
  #lastCount = 0
  #notWaitingAt = now()

  constructor(source: Port, sink: Port, owner: DirectionOwner) {
    this.source = source
    this.sink = sink
    this.owner = owner
    this.#base = sink.given
  }

  /** Bytes that the sink's kernel has taken. */
  get count(): number {
    return Math.max(0, this.sink.taken - this.#base)
  }

  /** The direction has ended: FIN forwarded, `maxBytes` delivered, or finished by the caller. */
  get ended(): boolean {
    return this.#ended
  }

  /** Nothing has been handed to the sink: no byte, and no FIN. */
  get untouched(): boolean {
    return this.sink.given === this.#base && !(this.#ended && this.#closing === 'fin')
  }

  /**
   * What was taken of the source, when the sink is a visit whose lane was lost before anything of it had left. Undefined in
   * all other cases.
   */
  takeBack(): readonly Buffer[] | undefined {
    return this.sink.takeBack(this.#base)
  }

  /** How it is closing. */
  get closing(): Closing {
    return this.#closing
  }

  /** True once the join is over. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** When a byte moved last. Looks at the count as well: a large write moves without any event. */
  get movedAt(): number {
    const { count } = this
    if (count !== this.#lastCount) this.touch()
    this.#lastCount = count
    return this.#movedAt
  }

  /** How long the sink has taken nothing while bytes were waiting for it, in ms; to be asked every now and then. */
  stalledFor(time: number): number {
    if (this.sink.pending === 0) this.#notWaitingAt = time
    return time - Math.max(this.movedAt, this.#notWaitingAt)
  }

  /** A byte has moved. */
  touch(): void {
    this.#movedAt = now()
  }

  /** Nothing of this direction happens any more. */
  stop(): void {
    this.#stopped = true
  }

  /** The source failed: what it sent is delivered, then the owner hears `onFlushed`. */
  sourceGone(): void {
    this.close('reset')
  }

  abstract onReadable(): void
  abstract onChunk(chunk: Buffer): void

  onEnd(): void {
    this.owner.onFin()
  }

  onWritten(): void {
    this.touch()
    this.settle()
  }

  /** Ends the direction once nothing is left to write. The first way counts, but a reset overrides it. */
  protected close(how: Closing): void {
    if (this.#closing === 'no' || how === 'reset') this.#closing = how
    this.settle()
  }

  /** True when nothing is left that the sink should still get. */
  protected drained(): boolean {
    return this.sink.pending === 0
  }

  protected settle(): void {
    if (this.#stopped || this.#closing === 'no' || !this.drained()) return
    if (this.#closing === 'reset') this.owner.onFlushed()
    else if (!this.#ended) {
      this.#ended = true
      if (this.#closing === 'fin') this.sink.end()
      this.owner.onEnded()
    }
  }
}
