import { MillraceError } from '../../errors.ts'
import { type LaneEvent, Lane as LaneFrames } from '../../wire/lane.ts'
import { fitsLaneFrame, type LaneReset } from '../../wire/lane-frame.ts'
import { nextLaneVisit } from '../../wire/lane-verdict.ts'
import { laneSettleMs } from '../../wire/limits.ts'
import type { Endpoint, Lane, LaneEvents, LaneRole } from '../types.ts'
import { StreamEndpoint } from './endpoint.ts'
import { LaneOutbox } from './lane-outbox.ts'
import type { Port } from './port.ts'
import { type PortReader, type PortWatcher, type PortWriter, truncatedCode } from './port-roles.ts'
import type { StreamTally } from './tally.ts'
import { type VisitCarrier, VisitPort } from './visit-port.ts'
import { clearDeadline, setDeadline, type Timed } from './wheel.ts'

/** The visit that is on a lane. */
interface Visit {
  readonly port: VisitPort
  readonly endpoint: StreamEndpoint
}

/**
 * Makes an endpoint a lane. Throws ERR_OPTION for a visit, ERR_ENDPOINT_CLOSED, ERR_ENDPOINT_JOINED or ERR_ENDPOINT_BUSY
 * before anything is taken. `settleMs`: see {@link laneSettleMs}.
 */
export function streamLane(
  endpoint: StreamEndpoint,
  role: LaneRole,
  events: LaneEvents,
  tally: StreamTally,
  settleMs: number = laneSettleMs,
): Lane {
  if (endpoint.isVisit) throw new MillraceError('ERR_OPTION', 'lane: a visit has no connection of its own')
  const unusable = endpoint.unusable()
  if (unusable !== undefined) throw unusable
  return new StreamLane(endpoint, role, events, tally, settleMs)
}

/**
 * A lane on Node streams. The carrier is read all the time, but for a visit that doesn't take what has come; between
 * visits nothing is kept but the carrier.
 */
class StreamLane implements Lane, VisitCarrier, PortReader, PortWriter, PortWatcher, Timed {
  wheelSlot = 0
  readonly #identity: StreamEndpoint
  readonly #carrier: Port
  readonly #role: LaneRole
  readonly #events: LaneEvents
  readonly #tally: StreamTally
  readonly #settleMs: number
  readonly #outbox: LaneOutbox
  readonly #frames: LaneFrames
  #visit: Visit | undefined
  /** An OPEN that came before the visit ahead of it was over here, and what came behind. */
  #waiting: LaneEvent[] = []
  /** What the OPEN of a visit is to carry that has not begun. */
  #start: Uint8Array | undefined
  #paused = false
  #looking = false
  #gone = false
  #destroyed = false

  constructor(endpoint: StreamEndpoint, role: LaneRole, events: LaneEvents, tally: StreamTally, settleMs: number) {
    this.#identity = endpoint
    this.#role = role
    this.#events = events
    this.#tally = tally
    this.#settleMs = settleMs
    const { port, unread } = endpoint.release(undefined)
    this.#carrier = port
    const outbox = new LaneOutbox(port)
    this.#outbox = outbox
    this.#frames = new LaneFrames(role, (bytes) => outbox.send(bytes))
    port.reader = port.writer = port.watcher = this
    process.nextTick(() => this.#takeOver(unread))
  }

  get free(): boolean {
    return this.#visit === undefined && !this.#gone && this.#frames.free && !this.#carrier.gone
  }

  get position(): number {
    return this.#outbox.position
  }

  get finished(): number {
    return this.#outbox.finished
  }

  get taken(): number {
    return this.#carrier.taken
  }

  open(start: Uint8Array): Endpoint {
    if (this.#role !== 'opens' || !this.free) {
      throw new MillraceError('ERR_OPTION', 'open: the lane is not free, or not for this end to open')
    }
    if (!fitsLaneFrame('open', start.length)) throw new MillraceError('ERR_FRAME_UNSENDABLE', `OPEN, ${start.length}`)
    this.#start = start
    return this.#visited(nextLaneVisit(this.#frames.state.visit)).endpoint
  }

  destroy(how: 'fin' | 'reset' = 'fin'): void {
    if (this.#destroyed) return
    this.#destroyed = true
    if (this.#gone) return
    // What was written leaves before our FIN: then it must not be taken back.
    const untaken = how === 'reset' || this.#outbox.holding || this.#visit?.port.given === 0
    this.#close('ECONNRESET', how, untaken ? 'untaken' : 'lost')
  }

  begin(visit: VisitPort): void {
    const start = this.#start
    if (start === undefined || this.#visit?.port !== visit) return
    this.#start = undefined
    this.#outbox.hold()
    this.#frames.open(Buffer.from(start.buffer, start.byteOffset, start.length))
    this.#tally.add('lanes.visits')
  }

  isUnbegun(visit: VisitPort): boolean {
    return this.#start !== undefined && this.#visit?.port === visit
  }

  data(visit: VisitPort, bytes: Buffer): boolean {
    return this.#carries(visit) && this.#frames.data(bytes)
  }

  end(visit: VisitPort): void {
    if (!this.#carries(visit)) return
    this.#frames.end()
    this.changed()
  }

  reset(visit: VisitPort, why: LaneReset): void {
    if (this.isUnbegun(visit)) this.#start = undefined
    if (this.#carries(visit)) this.#frames.reset(why)
  }

  isLost(visit: VisitPort): boolean {
    return this.#carries(visit) && this.#carrier.lost
  }

  changed(): void {
    if (this.#gone) return
    const pause = this.#waiting.length > 0 || this.#visit?.port.holdsBack === true
    if (pause !== this.#paused) {
      this.#paused = pause
      if (pause) this.#carrier.pause()
      else this.#carrier.resume()
    }
    this.#watchSettling()
    if (this.#looking || this.#visit === undefined || !this.#isOver(this.#visit)) return
    this.#looking = true
    process.nextTick(() => this.#look())
  }

  onReadable(): void {}

  onChunk(chunk: Buffer): void {
    if (this.#gone) return
    const events = this.#frames.receive(chunk)
    this.#waiting.push(...events)
    this.#advance()
    // Node resumes by itself a turn after its 'readable' listener went: say it again.
    if (this.#paused) this.#carrier.pause()
    if (!this.#frames.faulty || this.#gone) return
    this.#tally.add('lanes.faults')
    this.#close('ECONNRESET', 'reset', 'untaken')
  }

  onEnd(): void {
    const visited = this.#visit !== undefined && !this.#isOver(this.#visit)
    this.#close('ECONNRESET', visited ? 'reset' : 'fin', 'untaken')
  }

  onWritten(): void {
    if (this.#gone) return
    this.#visit?.port.onCarrierWritten()
    this.changed()
  }

  onFailed(errno: string): void {
    for (let chunk = this.#carrier.pull(); chunk !== undefined; chunk = this.#carrier.pull()) this.onChunk(chunk)
    this.#close(errno === '' || errno === truncatedCode ? 'ECONNRESET' : errno, 'reset', 'untaken')
  }

  onDue(): void {
    this.#tally.add('lanes.stuck')
    this.#close('ECONNRESET', 'reset', 'untaken')
  }

  #takeOver(unread: readonly Buffer[]): void {
    for (const chunk of unread) this.onChunk(chunk)
    if (this.#gone) return
    if (this.#carrier.gone) this.onFailed(this.#carrier.failure ?? '')
    else if (this.#carrier.ended) this.onEnd()
    else {
      this.#carrier.flow()
      if (this.#paused) this.#carrier.pause()
    }
  }

  /** Takes what the peer has sent, up to an OPEN that has to wait. */
  #advance(): void {
    for (let event = this.#waiting[0]; event !== undefined && !this.#gone; event = this.#waiting[0]) {
      if (event.kind === 'open' && this.#visit !== undefined) break
      this.#waiting.shift()
      this.#heed(event)
    }
    this.changed()
  }

  #heed(event: LaneEvent): void {
    const port = this.#visit?.port
    if (event.kind === 'open') {
      this.#tally.add('lanes.visits')
      const { endpoint } = this.#visited(this.#frames.state.visit)
      if (this.#events.onVisit === undefined) endpoint.destroy('reset')
      else this.#events.onVisit(endpoint, event.payload)
    } else if (event.kind === 'data') port?.push(event.bytes)
    else if (event.kind === 'end') port?.peerEnd()
    else if (event.kind === 'reset') port?.fail('ECONNRESET', 'reset')
  }

  #visited(number: number): Visit {
    const port = new VisitPort(this, number)
    const endpoint = StreamEndpoint.ofVisit(port, this.#identity, () => this.changed())
    this.#visit = { port, endpoint }
    return this.#visit
  }

  /** The visit is this lane's and not over: frames may be sent for it. */
  #carries(visit: VisitPort): boolean {
    return !this.#gone && this.#visit?.port === visit && !this.#isOver(this.#visit)
  }

  /** Both ends have ended it. The next may have begun in what waits. */
  #isOver({ port }: Visit): boolean {
    const { active, visit } = this.#frames.state
    if (this.#start !== undefined) return false
    return !active || visit !== port.number
  }

  /** The visit is over: once everything is out and its join has told so, the next may begin. */
  #look(): void {
    this.#looking = false
    if (this.#gone || this.#visit === undefined || !this.#isOver(this.#visit)) return
    if (this.#visit.endpoint.inJoin || this.#carrier.pending > 0) return
    this.#visit = undefined
    this.#watchSettling()
    this.#events.onFree?.()
    this.#advance()
  }

  /** After a RESET, received or sent, the peer must end the visit and take what was written. */
  #watchSettling(): void {
    const { sent, received } = this.#frames.state
    const open = this.#visit !== undefined && (!this.#isOver(this.#visit) || this.#carrier.pending > 0)
    if (!open || this.#start !== undefined || (sent !== 'reset' && received !== 'reset')) clearDeadline(this)
    else if (this.wheelSlot === 0) setDeadline(this, this.#settleMs)
  }

  #close(errno: string, carrier: 'fin' | 'reset', visit: 'lost' | 'untaken'): void {
    if (this.#gone) return
    const lost = this.#visit !== undefined && !this.#isOver(this.#visit) ? this.#visit : undefined
    // Unless its OPEN has not left.
    if (lost !== undefined && carrier === 'fin' && !this.#outbox.holding) this.#frames.reset('given-up')
    this.#gone = true
    clearDeadline(this)
    this.#waiting = []
    this.#start = undefined
    this.#outbox.drop()
    if (carrier === 'fin') this.#carrier.linger()
    else this.#carrier.reset()
    lost?.port.fail(errno, visit)
    process.nextTick(() => {
      if (!this.#destroyed) this.#events.onClosed()
    })
  }
}
