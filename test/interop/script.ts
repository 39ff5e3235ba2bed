import assert from 'node:assert/strict'
import { loadRecording, type RecordedConnection, type Side } from '../fixtures/recorded.ts'

const recording = loadRecording()

/** The connection with this number in the recording. */
export function recorded(id: number): RecordedConnection {
  const connection = recording.find((candidate) => candidate.id === id)
  assert.ok(connection, `connection ${id} is in the recording`)
  return connection
}

/**
 * The frames that one side sent on a connection: header and body as one buffer each. A proxy connection has one frame
 * from either side; what follows it is `payload`.
 */
export function framesOf(id: number, side: Side): { readonly frames: readonly Buffer[]; readonly payload: Buffer } {
  const { events, kind } = recorded(id)
  const sent = events.flatMap((event) => (event.kind === 'bytes' && event.from === side ? [event.bytes] : []))
  // 1.7 writes the length and the body as two records, and the recording has one line for each.
  const count = kind === 'control' ? sent.length : Math.min(sent.length, 2)
  const frames: Buffer[] = []
  for (let i = 0; i + 1 < count; i += 2) frames.push(Buffer.concat(sent.slice(i, i + 2)))
  return { frames, payload: Buffer.concat(sent.slice(count)) }
}

/** The recorded frame of a type, the `nth` (from 1) of that side. */
export function frameOf(id: number, side: Side, type: string, nth = 1): Buffer {
  const found = framesOf(id, side).frames.filter((frame) => frame.includes(`{"Type":"${type}"`))[nth - 1]
  assert.ok(found, `${side} of connection ${id} sent ${type} ${nth} times`)
  return found
}

/** The frame with texts in its body replaced, as ids, ports and names differ in each run, and its length mended. */
export function mapped(frame: Buffer, replacements: Readonly<Record<string, string>>): Buffer {
  let body = frame.toString('utf8', 8)
  for (const [from, to] of Object.entries(replacements)) body = body.replaceAll(from, to)
  const length = Buffer.alloc(8)
  length.writeBigInt64LE(BigInt(Buffer.byteLength(body)))
  return Buffer.concat([length, Buffer.from(body)])
}

/** The two writes in which 1.7 sends a frame. */
export function twoWrites(frame: Buffer): readonly [Buffer, Buffer] {
  return [frame.subarray(0, 8), frame.subarray(8)]
}
