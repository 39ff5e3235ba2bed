import { laneHeaderBytes, maxLaneData, maxLaneOpen } from './limits.ts'

/** The frames of a lane: docs/protocol.md, section 6. */
export type LaneFrameType = 'open' | 'data' | 'end' | 'reset'

/** Why a visit was reset: the connection was, the service could not be reached, or an end gave it up. */
export type LaneReset = 'connection' | 'unreachable' | 'given-up'

/** What stands in front of a frame's payload. */
export interface LaneHeader {
  readonly type: LaneFrameType
  /** The visit's number, 0 to 255. */
  readonly visit: number
  /** Bytes of payload that follow. */
  readonly length: number
}

const laneTypes: readonly LaneFrameType[] = ['open', 'data', 'end', 'reset']
const laneResets: readonly LaneReset[] = ['connection', 'unreachable', 'given-up']

/** Fewest and most bytes of each frame's payload. */
const lengths: Readonly<Record<LaneFrameType, readonly [number, number]>> = {
  open: [1, maxLaneOpen],
  data: [1, maxLaneData],
  end: [0, 0],
  reset: [4, 4],
}

/** True when a frame of this type may have a payload of so many bytes. */
export function fitsLaneFrame(type: LaneFrameType, length: number): boolean {
  const [min, max] = lengths[type]
  return length >= min && length <= max
}

/** The header of a frame. The length must fit the type: see {@link fitsLaneFrame}. */
export function encodeLaneHeader(header: LaneHeader): Buffer {
  const bytes = Buffer.alloc(laneHeaderBytes)
  bytes.writeUInt32LE(header.length, 0)
  bytes[4] = laneTypes.indexOf(header.type) + 1
  bytes[5] = header.visit
  return bytes
}

/** The header that 8 bytes hold; undefined for one that no end sends in any state. */
export function decodeLaneHeader(bytes: Buffer): LaneHeader | undefined {
  const type = laneTypes[bytes.readUInt8(4) - 1]
  const length = bytes.readUInt32LE(0)
  if (type === undefined || bytes.readUInt16LE(6) !== 0 || !fitsLaneFrame(type, length)) return undefined
  return { type, visit: bytes.readUInt8(5), length }
}

/** The payload of a `RESET`. */
export function encodeLaneReset(reason: LaneReset): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(laneResets.indexOf(reason), 0)
  return bytes
}

/** Why the peer resets, from the 4 bytes of a `RESET`. A number that we don't know tells no more than a reset does. */
export function decodeLaneReset(payload: Buffer): LaneReset {
  return laneResets[payload.readUInt32LE(0)] ?? 'connection'
}
