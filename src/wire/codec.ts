import type { Endpoint, FindEnd } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { printable } from '../printable.ts'
import { assertDepth, isObject, wellFormed } from './json.ts'
import { frameHeaderBytes, maxSentFrame, maxShownType } from './limits.ts'
import type { Message, UnknownMessage } from './messages.ts'
import { type Field, type MessageSchema, schemaOf } from './schema.ts'

/**
 * A message as one buffer, to be sent with one write: 8 bytes of length, then the JSON. Throws ERR_FRAME_UNSENDABLE
 * when that is more than one TLS record.
 */
export function encodeMessage(message: Message): Buffer {
  const body = encodeBody(message)
  const frame = Buffer.allocUnsafe(frameHeaderBytes + body.length)
  frame.writeUInt32LE(body.length, 0)
  frame.writeUInt32LE(0, 4)
  frame.set(body, frameHeaderBytes)
  return frame
}

/**
 * The message's body alone, as a lane's OPEN carries it. Throws ERR_FRAME_UNSENDABLE as {@link encodeMessage} does.
 * Written as text: an object of the wire's shape, made for JSON.stringify() alone, costs twice as much where visitors are
 * few and nothing of it is in the CPU's caches.
 */
export function encodeBody(message: Message): Buffer {
  const values = message as unknown as Readonly<Record<string, unknown>>
  let fields = ''
  for (const { name, label } of schemaOf(message.type)?.ordered ?? []) {
    const value = values[name]
    if (value !== undefined) fields += `${fields === '' ? '' : ','}${label}${JSON.stringify(value)}`
  }
  const body = Buffer.from(`{"Type":"${message.type}","Payload":{${fields}}}`)
  if (body.length + frameHeaderBytes > maxSentFrame) {
    throw new MillraceError('ERR_FRAME_UNSENDABLE', `${message.type}, ${body.length + frameHeaderBytes}`)
  }
  return body
}

/**
 * Finds the end of a frame whose body has at most `limit` bytes, for {@link Endpoint.readHead}. Throws
 * ERR_FRAME_LENGTH (zero, negative) or ERR_FRAME_TOO_LARGE as soon as the 8 bytes of length are there.
 */
export function findFrameEnd(limit: number): FindEnd {
  return (bytes) => {
    if (bytes.length < frameHeaderBytes) return 0
    const length = readLength(bytes)
    if (length > limit) throw new MillraceError('ERR_FRAME_TOO_LARGE', `${length}, the limit is ${limit}`)
    const end = frameHeaderBytes + length
    return bytes.length < end ? 0 : end
  }
}

/**
 * Decodes one whole frame, header included. Keys are matched without regard to case and null or missing fields are
 * empty, as in Go; see docs/protocol.md. Throws ERR_FRAME_* on anything malformed; no error text ever holds a value.
 */
export function decodeFrame(frame: Buffer): Message | UnknownMessage {
  if (frame.length < frameHeaderBytes || readLength(frame) !== frame.length - frameHeaderBytes) {
    throw new MillraceError('ERR_FRAME_LENGTH', `not that of the ${frame.length} bytes given`)
  }
  return decodeBody(frame.subarray(frameHeaderBytes))
}

/** Decodes a message's body, as {@link decodeFrame} does. */
export function decodeBody(body: Buffer): Message | UnknownMessage {
  const envelope = parse(body)
  let type: unknown
  let payload: unknown
  for (const key of Object.keys(envelope)) {
    if (isNamed(key, 'Type')) type = envelope[key]
    else if (isNamed(key, 'Payload')) payload = envelope[key]
  }
  if (typeof type !== 'string' && type !== undefined && type !== null) {
    throw new MillraceError('ERR_FRAME_SHAPE', 'Type is not a string')
  }
  const schema = schemaOf(type ?? '')
  if (schema === undefined) return { type: 'unknown', name: printable(type ?? '', maxShownType) }
  if (!isObject(payload)) throw new MillraceError('ERR_FRAME_SHAPE', `Payload of ${schema.type} is not an object`)
  return decodePayload(schema, payload)
}

/**
 * Reads one message: a frame of at most `limit` body bytes within `deadlineMs`. Rejects with ERR_FRAME_* or with what
 * {@link Endpoint.readHead} rejects with (ERR_ENDPOINT_ENDED with detail 0 = the peer ended between two messages).
 * `weigh` is told the frame's length before anything is decoded; what it throws rejects the read.
 */
export async function readMessage(
  endpoint: Endpoint,
  limit: number,
  deadlineMs: number,
  weigh?: (bytes: number) => void,
): Promise<Message | UnknownMessage> {
  const frame = await endpoint.readHead(findFrameEnd(limit), limit + frameHeaderBytes, deadlineMs)
  weigh?.(frame.length)
  return decodeFrame(frame)
}

/** Queues one message on an endpoint. Throws ERR_FRAME_UNSENDABLE. */
export function writeMessage(endpoint: Endpoint, message: Message): void {
  endpoint.write(encodeMessage(message))
}

/** The length in front of a frame, ≥ 1; above 2^53 it is rounded, which no limit notices. Throws ERR_FRAME_LENGTH. */
function readLength(bytes: Buffer): number {
  const length = bytes.readInt32LE(4) * 2 ** 32 + bytes.readUInt32LE(0)
  if (length <= 0) throw new MillraceError('ERR_FRAME_LENGTH', `${length}`)
  return length
}

// A BOM is kept so that JSON.parse refuses it, as Go does.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parse(body: Buffer): Readonly<Record<string, unknown>> {
  let json: string
  try {
    json = utf8.decode(body)
  } catch {
    throw new MillraceError('ERR_FRAME_UTF8', `${body.length}`)
  }
  assertDepth(body)
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // The SyntaxError is no cause to keep: it quotes the text, which may hold a token.
    throw new MillraceError('ERR_FRAME_JSON', `${body.length}`)
  }
  if (!isObject(value)) throw new MillraceError('ERR_FRAME_SHAPE', 'not an object')
  return value
}

/** As Go matches keys; nearly all are spelt as we do. */
function isNamed(key: string, name: string): boolean {
  return key === name || (key.length === name.length && key.toLowerCase() === name.toLowerCase())
}

function decodePayload(schema: MessageSchema, payload: Readonly<Record<string, unknown>>): Message {
  const message: Record<string, unknown> = { type: schema.type }
  for (const { name, spec } of schema.ordered) {
    if (!spec.optional) message[name] = spec.kind === 'uint16' ? 0 : ''
  }
  for (const key of Object.keys(payload)) {
    const field = schema.byName.get(key) ?? schema.byName.get(key.toLowerCase())
    const value = payload[key]
    if (field === undefined || value === null) continue
    message[field.name] = decodeField(field, value)
  }
  // The schema's type ties it to the interface: see FieldsOf.
  return message as unknown as Message
}

function decodeField({ spec, path }: Field, value: unknown): unknown {
  switch (spec.kind) {
    case 'string':
      return decodeString(value, spec.max, path)
    case 'uint16':
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff) fail(path)
      return value + 0
    case 'time':
      if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) fail(path)
      return value + 0
    case 'boolean':
      if (typeof value !== 'boolean') fail(path)
      return value
    case 'strings':
      if (!Array.isArray(value) || value.length > spec.maxItems) fail(path)
      return value.map((item: unknown) => decodeString(item, spec.max, path))
  }
}

function decodeString(value: unknown, max: number, path: string): string {
  if (typeof value !== 'string' || value.length > max) fail(path)
  return wellFormed(value)
}

function fail(path: string): never {
  throw new MillraceError('ERR_FRAME_FIELD', path)
}
