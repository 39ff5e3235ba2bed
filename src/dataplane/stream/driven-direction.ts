import { Direction, type DirectionOwner } from './direction.ts'
import type { Port } from './port.ts'
import type { PortReader, PortWriter } from './port-roles.ts'

/** A direction whose bytes the caller moves with the endpoints' own `read` and `write`. */
export class DrivenDirection extends Direction {
  /** The caller's affair. */
  readonly paused = false
  readonly #reader: PortReader
  readonly #writer: PortWriter

  /** `reader` and `writer` are the endpoints, which go on serving the caller. */
  constructor(source: Port, sink: Port, owner: DirectionOwner, reader: PortReader, writer: PortWriter) {
    super(source, sink, owner)
    this.#reader = reader
    this.#writer = writer
  }

  /** Starts listening, so that the source's end is noticed. */
  start(): void {
    this.sink.writer = this
    this.source.reader = this
    if (this.source.ended) this.onEnd()
    else if (!this.source.gone) this.source.arm()
  }

  /** The caller says that the direction has ended. */
  finish(how: 'fin' | 'no-fin'): void {
    if (!this.stopped) this.close(how)
  }

  /** The caller has taken it, and knows best. */
  override takeBack(): undefined {}

  onReadable(): void {
    this.#reader.onReadable()
  }

  onChunk(chunk: Buffer): void {
    this.#reader.onChunk(chunk)
  }

  override onEnd(): void {
    super.onEnd()
    this.#reader.onEnd()
  }

  override onWritten(): void {
    super.onWritten()
    this.#writer.onWritten()
  }
}
