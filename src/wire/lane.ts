import { MillraceError } from '../errors.ts'
import {
  decodeLaneHeader,
  decodeLaneReset,
  encodeLaneHeader,
  encodeLaneReset,
  fitsLaneFrame,
  type LaneFrameType,
  type LaneHeader,
  type LaneReset,
} from './lane-frame.ts'
import {
  judgeLaneFrame,
  type LaneEnd,
  type LaneRole,
  type LaneState,
  type LaneVerdict,
  nextLaneVisit,
} from './lane-verdict.ts'
import { laneHeaderBytes, maxLaneData } from './limits.ts'

/** What a peer's bytes amount to, in their order. After `fault` the lane is to be reset, and counted. */
export type LaneEvent =
  | { readonly kind: 'open'; readonly payload: Buffer }
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset'; readonly reason: LaneReset }
  | { readonly kind: 'fault' }

/**
 * One end of a lane: takes the peer's frames apart, judges each, and makes our own. It knows no socket and no clock.
 * `send` is given whole frames, which must leave in that order.
 */
export class Lane {
  readonly #send: (bytes: Buffer) => void
  #state: LaneState
  #faulty = false
  readonly #header = Buffer.alloc(laneHeaderBytes)
  #headerBytes = 0
  /** The frame whose payload is coming, and what of it must be gathered first. */
  #frame: LaneHeader | undefined
  #verdict: LaneVerdict = 'close'
  #left = 0
  #parts: Buffer[] = []

  constructor(role: LaneRole, send: (bytes: Buffer) => void) {
    this.#send = send
    const over = { active: false, received: 'reset', sent: 'reset', receivedBefore: 'reset', fresh: false } as const
    this.#state = { role, visit: 0, ...over }
  }

  /** A snapshot of where the lane is. */
  get state(): LaneState {
    return this.#state
  }

  /** A frame came that doesn't fit; nothing is sent or taken any more. */
  get faulty(): boolean {
    return this.#faulty
  }

  /** The lane can take the next visit. */
  get free(): boolean {
    return !this.#state.active && !this.#faulty
  }

  /** This end has reset the visit and the peer has not ended it: must pass within `laneSettleMs`. */
  get settling(): boolean {
    return this.#state.active && this.#state.sent === 'reset'
  }

  /** The relay's end, of a free lane: begins a visit. Throws ERR_FRAME_UNSENDABLE, and ERR_OPTION on any other lane. */
  open(payload: Buffer): void {
    if (!this.free || this.#state.role !== 'opens') throw new MillraceError('ERR_OPTION', 'a visit on a lane not free')
    if (!fitsLaneFrame('open', payload.length)) {
      throw new MillraceError('ERR_FRAME_UNSENDABLE', `OPEN, ${payload.length}`)
    }
    this.#begin(nextLaneVisit(this.#state.visit))
    this.#say('open', payload)
  }

  /** Sends bytes of the visit, in as many frames as they need. False when the visit takes no more: they are lost. */
  data(bytes: Buffer): boolean {
    if (!this.#state.active || this.#state.sent !== 'none' || this.#faulty) return false
    for (let at = 0; at < bytes.length; at += maxLaneData) this.#say('data', bytes.subarray(at, at + maxLaneData))
    return true
  }

  /** FIN. False when this end has said its last of the visit already. */
  end(): boolean {
    if (!this.#state.active || this.#state.sent !== 'none' || this.#faulty) return false
    this.#say('end')
    this.#settle({ sent: 'end' })
    return true
  }

  /** RST, behind our own `END` as well. False when the visit is over, or was reset by this end already. */
  reset(reason: LaneReset): boolean {
    if (!this.#state.active || this.#state.sent === 'reset' || this.#faulty) return false
    this.#say('reset', encodeLaneReset(reason))
    this.#settle({ sent: 'reset' })
    return true
  }

  /** Takes the peer's bytes, however they are cut. The events' buffers are parts of `bytes` where that is possible. */
  receive(bytes: Buffer): readonly LaneEvent[] {
    const events: LaneEvent[] = []
    let rest = bytes
    while (rest.length > 0 && !this.#faulty) {
      rest = this.#frame === undefined ? this.#takeHeader(rest, events) : this.#takePayload(rest, this.#frame, events)
    }
    return events
  }

  #takeHeader(bytes: Buffer, events: LaneEvent[]): Buffer {
    const taken = bytes.copy(this.#header, this.#headerBytes)
    this.#headerBytes += taken
    if (this.#headerBytes === laneHeaderBytes) {
      this.#headerBytes = 0
      this.#judge(decodeLaneHeader(this.#header), events)
    }
    return bytes.subarray(taken)
  }

  #judge(header: LaneHeader | undefined, events: LaneEvent[]): void {
    const verdict = header === undefined ? 'close' : judgeLaneFrame(this.#state, header)
    if (header === undefined || verdict === 'close') {
      this.#faulty = true
      events.push({ kind: 'fault' })
      return
    }
    this.#verdict = verdict
    if (verdict !== 'begin') this.#state = { ...this.#state, fresh: false }
    if (verdict === 'skip') {
      this.#state = { ...this.#state, [this.#state.active ? 'receivedBefore' : 'received']: 'reset' }
    }
    this.#frame = header
    this.#left = header.length
    if (header.length === 0) this.#complete(header, events)
  }

  #takePayload(bytes: Buffer, frame: LaneHeader, events: LaneEvent[]): Buffer {
    const part = bytes.subarray(0, this.#left)
    this.#left -= part.length
    if (frame.type !== 'data') this.#parts.push(part)
    // Asked for each part: our own RESET may have come after the header.
    else if (this.#state.sent !== 'reset') events.push({ kind: 'data', bytes: part })
    if (this.#left === 0) this.#complete(frame, events)
    return bytes.subarray(part.length)
  }

  #complete(frame: LaneHeader, events: LaneEvent[]): void {
    const payload = this.#parts.length > 0 ? Buffer.concat(this.#parts) : Buffer.alloc(0)
    this.#parts = []
    this.#frame = undefined
    if (this.#verdict === 'begin') {
      this.#begin(frame.visit)
      events.push({ kind: 'open', payload })
    } else if (this.#verdict === 'end') {
      events.push({ kind: 'end' })
      this.#settle({ received: 'end' })
    } else if (this.#verdict === 'reset') {
      this.#completeReset(frame, payload, events)
    }
  }

  #completeReset(frame: LaneHeader, payload: Buffer, events: LaneEvent[]): void {
    // Our END may have left between its header and its payload: then it is late, and the next visit is none of its.
    if (!this.#state.active || frame.visit !== this.#state.visit) {
      const field = this.#state.active ? 'receivedBefore' : 'received'
      this.#state = { ...this.#state, [field]: 'reset' }
      return
    }
    events.push({ kind: 'reset', reason: decodeLaneReset(payload) })
    const first = this.#state.sent === 'none'
    if (first) this.#say('reset', encodeLaneReset('connection'))
    this.#settle(first ? { received: 'reset', sent: 'reset' } : { received: 'reset' })
  }

  #begin(visit: number): void {
    const receivedBefore = this.#state.received
    const begun = { active: true, received: 'none', sent: 'none', fresh: true } as const
    this.#state = { ...this.#state, ...begun, visit, receivedBefore }
  }

  #settle(change: { readonly received?: LaneEnd; readonly sent?: LaneEnd }): void {
    const state = { ...this.#state, ...change }
    this.#state = { ...state, active: state.received === 'none' || state.sent === 'none' }
  }

  #say(type: LaneFrameType, payload?: Buffer): void {
    const header = encodeLaneHeader({ type, visit: this.#state.visit, length: payload?.length ?? 0 })
    this.#send(payload === undefined ? header : Buffer.concat([header, payload]))
  }
}
