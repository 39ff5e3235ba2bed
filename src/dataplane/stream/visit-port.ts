import type { LaneReset } from '../../wire/lane-frame.ts'
import { laneHeaderBytes, maxLaneData } from '../../wire/limits.ts'
import { ByteQueue } from './byte-queue.ts'
import { lastWordsMs, lingerBytes, lingerMs, type Port } from './port.ts'
import type { PortReader, PortWatcher, PortWriter } from './port-roles.ts'
import { SentPayload } from './sent-payload.ts'
import { clearDeadline, setDeadline, type Timed } from './wheel.ts'

/** What a visit asks of its lane. Frames of a visit that is over are not sent. */
export interface VisitCarrier {
  /** How much has been written to the carrier: where the next frame begins. */
  readonly position: number
  /** How much of that the carrier has finished. */
  readonly finished: number
  /** How much of that the carrier's kernel has taken. */
  readonly taken: number
  /** The visit is used: its OPEN leaves, if it has not. */
  begin(visit: VisitPort): void
  /** Whether its OPEN has yet to leave. */
  isUnbegun(visit: VisitPort): boolean
  /** As {@link Port.lost}, while the visit is on the lane. */
  isLost(visit: VisitPort): boolean
  /** False when the visit takes no more. */
  data(visit: VisitPort, bytes: Buffer): boolean
  end(visit: VisitPort): void
  reset(visit: VisitPort, why: LaneReset): void
  /** The visit may have become able to take more, or be over. */
  changed(): void
}

/** A visit on a lane, as a port: what its peer sends comes in by `push`, `peerEnded` and `fail`. */
export class VisitPort implements Port, Timed {
  readonly truncated = false
  readonly isVisit = true
  /** As in its frames. */
  readonly number: number
  readonly #lane: VisitCarrier
  reader: PortReader | undefined
  writer: PortWriter | undefined
  watcher: PortWatcher | undefined
  wheelSlot = 0
  readonly #arrived = new ByteQueue()
  readonly #sent = new SentPayload()
  #mode: 'idle' | 'pull' | 'push' | 'linger' = 'idle'
  #paused = false
  /** A turn of {@link #deliver} is due. */
  #due = false
  #peerEnded = false
  #ended = false
  /** Our FIN. */
  #closing = false
  /** Reset by us: nobody wants to hear of it any more. */
  #closed = false
  #failure: string | undefined
  #laneLost = false
  #discarded = 0

  constructor(lane: VisitCarrier, number: number) {
    this.#lane = lane
    this.number = number
  }

  get ended(): boolean {
    return this.#ended
  }

  get failure(): string | undefined {
    return this.#failure
  }

  get gone(): boolean {
    return this.#closed || this.#failure !== undefined
  }

  get lost(): boolean {
    return this.#lane.isLost(this)
  }

  get pending(): number {
    return this.#sent.pending
  }

  get given(): number {
    return this.#sent.given
  }

  get taken(): number {
    return this.#sent.taken(this.#lane.taken)
  }

  /** The carrier is not to be read: nobody takes what has come, and more may. Behind the peer's END none can. */
  get holdsBack(): boolean {
    return this.#arrived.length > 0 && !this.#peerEnded && this.#failure === undefined
  }

  arm(): void {
    if (this.#mode !== 'idle') return
    this.#mode = 'pull'
    this.#lane.begin(this)
    this.#deliverSoon()
  }

  pull(): Buffer | undefined {
    if (this.#arrived.length === 0) return undefined
    const chunk = this.#arrived.takePiece(Number.POSITIVE_INFINITY)
    if (this.#arrived.length === 0) this.#emptied()
    return chunk
  }

  flow(): void {
    if (this.#mode === 'linger') return
    this.#mode = 'push'
    this.#lane.begin(this)
    this.resume()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#deliverSoon()
  }

  rest(): void {
    if (this.#mode !== 'linger') this.#mode = 'idle'
  }

  write(bytes: Uint8Array): void {
    if (this.#closed || this.#closing) return
    this.#lane.begin(this)
    const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let at = 0; at < whole.length; at += maxLaneData) {
      const piece = whole.subarray(at, at + maxLaneData)
      const start = this.#lane.position + laneHeaderBytes
      if (this.#lane.data(this, piece)) this.#sent.add(start, piece)
      // Kept for whoever asks what has not been handed on.
      else if (this.#laneLost) this.#sent.add(Number.POSITIVE_INFINITY, piece)
    }
  }

  end(): void {
    if (this.gone || this.#closing) return
    this.#closing = true
    this.#lane.begin(this)
    this.#lane.end(this)
  }

  reset(why: LaneReset = 'given-up'): void {
    this.reader = this.writer = this.watcher = undefined
    if (this.#closed) return
    this.#closed = true
    clearDeadline(this)
    this.#arrived.takeAll()
    if (!this.#laneLost) this.#sent.commit()
    this.#lane.reset(this, why)
    this.#lane.changed()
  }

  linger(): void {
    this.reader = this.writer = this.watcher = undefined
    if (this.gone || this.#mode === 'linger') return
    if (this.#lane.isUnbegun(this)) {
      this.reset()
      return
    }
    this.end()
    this.#mode = 'linger'
    if (!this.#peerEnded) setDeadline(this, this.pending > 0 ? lastWordsMs : lingerMs)
    this.#discard(this.#arrived.length)
    this.#arrived.takeAll()
    this.#lane.changed()
  }

  takeBack(from: number): readonly Buffer[] | undefined {
    return this.#laneLost ? this.#sent.takeBack(from) : undefined
  }

  /** The peer has sent bytes. */
  push(bytes: Buffer): void {
    if (this.#closed) return
    if (this.#mode === 'linger') this.#discard(bytes.length)
    else if (this.#mode === 'push' && !this.#paused && !this.#due) this.reader?.onChunk(bytes)
    else {
      this.#arrived.push(bytes)
      if (!this.#due && this.#mode === 'pull') this.reader?.onReadable()
    }
  }

  /** The peer has sent END. */
  peerEnd(): void {
    this.#peerEnded = true
    if (this.#mode === 'linger') clearDeadline(this)
    else this.#deliverSoon()
  }

  /**
   * The peer has sent RESET, or the lane is lost. The watcher hears of it in a later turn. `untaken`: what the carrier's
   * kernel has not taken by now of a lane that is lost will never leave.
   */
  fail(errno: string, how: 'reset' | 'lost' | 'untaken'): void {
    if (this.gone) return
    this.#failure = errno
    this.#laneLost = how === 'untaken'
    if (how !== 'reset') this.#sent.freeze(this.#lane.taken)
    clearDeadline(this)
    process.nextTick(() => this.watcher?.onFailed(errno, this))
  }

  /** The carrier has finished some writes. */
  onCarrierWritten(): void {
    if (!this.#sent.finish(this.#lane.finished)) return
    if (this.#mode !== 'linger') this.writer?.onWritten()
    else if (this.pending === 0 && !this.#peerEnded && !this.gone) setDeadline(this, lingerMs)
  }

  onDue(): void {
    this.reset()
  }

  #discard(bytes: number): void {
    this.#discarded += bytes
    if (this.#discarded > lingerBytes) this.reset()
  }

  /** Never from within a call of the reader's. */
  #deliverSoon(): void {
    if (this.#due || (this.#arrived.length === 0 && (!this.#peerEnded || this.#ended))) return
    this.#due = true
    process.nextTick(() => this.#deliver())
  }

  #deliver(): void {
    this.#due = false
    if (this.#arrived.length > 0) {
      if (this.#mode === 'pull') this.reader?.onReadable()
      while (this.#mode === 'push' && !this.#paused && this.#arrived.length > 0) {
        this.reader?.onChunk(this.#arrived.takePiece(Number.POSITIVE_INFINITY))
      }
      this.#lane.changed()
    }
    if (!this.#peerEnded || this.#ended || this.#arrived.length > 0 || this.gone) return
    this.#ended = true
    this.reader?.onEnd()
  }

  #emptied(): void {
    this.#deliverSoon()
    this.#lane.changed()
  }
}
