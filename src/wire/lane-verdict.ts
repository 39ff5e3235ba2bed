import type { LaneHeader } from './lane-frame.ts'

/** How far one direction of a visit is. */
export type LaneEnd = 'none' | 'end' | 'reset'

/** Which end of a lane this is: a relay opens visits, an agent accepts them. */
export type LaneRole = 'opens' | 'accepts'

/** What the verdict on a frame depends on. */
export interface LaneState {
  readonly role: LaneRole
  /** A visit has begun, and is not over. */
  readonly active: boolean
  /** The number of this visit or, without one, of the last; 0 before the first. */
  readonly visit: number
  /** What the peer has said for that visit; `reset` before the first, so that nothing can be late. */
  readonly received: LaneEnd
  /** What this end has said for it. */
  readonly sent: LaneEnd
  /** What the peer had said for the visit before this one. */
  readonly receivedBefore: LaneEnd
  /** No frame has come since this visit began. */
  readonly fresh: boolean
}

/** What a frame means: `begin` a visit, `deliver` or `discard` data, FIN, RST, nothing, or the end of the lane. */
export type LaneVerdict = 'begin' | 'deliver' | 'discard' | 'end' | 'reset' | 'skip' | 'close'

/** The number of the visit after `visit`. */
export function nextLaneVisit(visit: number): number {
  return (visit + 1) % 256
}

/** What a frame means in a state: the table in docs/protocol.md, section 6. */
export function judgeLaneFrame(state: LaneState, header: LaneHeader): LaneVerdict {
  const ofThisVisit = state.active && header.visit === state.visit
  switch (header.type) {
    case 'open':
      if (state.role === 'opens' || state.active) return 'close'
      return header.visit === nextLaneVisit(state.visit) ? 'begin' : 'close'
    case 'data':
      if (!ofThisVisit || state.received !== 'none') return 'close'
      return state.sent === 'reset' ? 'discard' : 'deliver'
    case 'end':
      return ofThisVisit && state.received === 'none' ? 'end' : 'close'
    case 'reset':
      if (ofThisVisit) return state.received === 'reset' ? 'close' : 'reset'
      return isLateReset(state, header.visit) ? 'skip' : 'close'
  }
}

/** It crossed our `END`, by which its visit was over here. */
function isLateReset(state: LaneState, visit: number): boolean {
  if (!state.active) return visit === state.visit && state.received === 'end'
  return state.fresh && nextLaneVisit(visit) === state.visit && state.receivedBefore === 'end'
}
