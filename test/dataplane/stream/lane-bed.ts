import { once } from 'node:events'
import type { Socket } from 'node:net'
import { StreamDataPlane } from '../../../src/dataplane/stream/data-plane.ts'
import type { StreamEndpoint } from '../../../src/dataplane/stream/endpoint.ts'
import { streamLane } from '../../../src/dataplane/stream/lane.ts'
import { StreamTally } from '../../../src/dataplane/stream/tally.ts'
import type { DataPlane, Endpoint, Lane, LaneRole } from '../../../src/dataplane/types.ts'
import { type LaneEvent, Lane as LaneFrames } from '../../../src/wire/lane.ts'
import { makeCertificate } from '../certificate.ts'
import { acceptPair, deferred } from '../pair.ts'

export const plane: DataPlane = new StreamDataPlane()
const certificate = await makeCertificate(['lane.test'])

/** Waits for things one by one that happen in order. */
export class Queue<T> {
  readonly #items: T[] = []
  #wake: (() => void) | undefined

  /** How many wait to be taken. */
  get length(): number {
    return this.#items.length
  }

  readonly push = (item: T): void => {
    this.#items.push(item)
    this.#wake?.()
  }

  async next(): Promise<T> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) return item
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

/** One end of a lane with what it has told. */
export interface LaneEnd {
  readonly lane: Lane
  readonly visits: Queue<{ readonly visit: Endpoint; readonly start: Buffer }>
  readonly frees: Queue<true>
  readonly closed: Promise<void>
}

/** Two endpoints connected to each other, with TLS if wanted. */
export async function connection(tls: boolean): Promise<readonly [Endpoint, Endpoint]> {
  const accepted = deferred<Endpoint>()
  const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, ([one]) => one && accepted.resolve(one))
  if (listener.address.family === 'unix') throw new Error('expected an IP address')
  const near = await plane.dial(listener.address)
  const far = await accepted.promise
  await listener.close()
  if (!tls) return [near, far]
  const secured = plane.secure(far, { role: 'server', ...certificate })
  const trust = { kind: 'ca', pem: certificate.cert } as const
  return [await plane.secure(near, { role: 'client', serverName: 'lane.test', trust }), await secured]
}

/** Makes an endpoint one end of a lane. */
export function laneEnd(carrier: Endpoint, role: LaneRole, on: DataPlane = plane): LaneEnd {
  return ended((events) => on.lane(carrier, role, events))
}

/** The same on streams, with a clock of its own, and the counts. */
export function hastyLaneEnd(
  carrier: Endpoint,
  role: LaneRole,
  settleMs: number,
): LaneEnd & { readonly tally: StreamTally } {
  const tally = new StreamTally()
  return { ...ended((events) => streamLane(carrier as StreamEndpoint, role, events, tally, settleMs)), tally }
}

function ended(make: (events: Parameters<DataPlane['lane']>[2]) => Lane): LaneEnd {
  const visits = new Queue<{ readonly visit: Endpoint; readonly start: Buffer }>()
  const frees = new Queue<true>()
  const closed = deferred<void>()
  const lane = make({
    onVisit: (visit, start) => visits.push({ visit, start }),
    onFree: () => frees.push(true),
    onClosed: () => closed.resolve(),
  })
  return { lane, visits, frees, closed: closed.promise }
}

/** A lane with both ends; `opens` is the relay's. */
export async function lanePair(tls: boolean): Promise<{ readonly opens: LaneEnd; readonly accepts: LaneEnd }> {
  const [near, far] = await connection(tls)
  return { opens: laneEnd(far, 'opens'), accepts: laneEnd(near, 'accepts') }
}

/** A peer that speaks frames on a plain socket, and says what it likes. */
export class FramePeer {
  readonly socket: Socket
  readonly frames: LaneFrames
  readonly events = new Queue<LaneEvent>()
  readonly gone: Promise<string>

  constructor(socket: Socket, role: LaneRole) {
    this.socket = socket
    this.frames = new LaneFrames(role, (bytes) => void socket.write(bytes))
    socket.on('data', (chunk: Buffer) => {
      for (const event of this.frames.receive(chunk)) this.events.push(event)
    })
    this.gone = Promise.race([
      once(socket, 'error').then(([error]: unknown[]) => String(Reflect.get(error as object, 'code'))),
      once(socket, 'end').then(() => 'end'),
    ]).catch((error: unknown) => String(Reflect.get(error as object, 'code')))
    socket.resume()
  }
}

/** One end of a lane on streams, and a peer that speaks frames. */
export async function againstFrames(
  role: LaneRole,
  settleMs = 10_000,
): Promise<LaneEnd & { readonly peer: FramePeer; readonly tally: StreamTally }> {
  const { endpoint, peer } = await acceptPair(plane)
  return {
    ...hastyLaneEnd(endpoint, role, settleMs),
    peer: new FramePeer(peer, role === 'opens' ? 'accepts' : 'opens'),
  }
}

/** `length` bytes that carry `key` in every place: (key · 31 + position · 7 + position / 251) mod 256. */
export function keyed(key: number, length: number, from = 0): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at++) {
    const position = from + at
    bytes[at] = (key * 31 + position * 7 + Math.floor(position / 251)) & 255
  }
  return bytes
}

/** All that an endpoint receives until its peer ends. */
export async function readAllOf(endpoint: Endpoint): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (;;) {
    const chunk = await endpoint.read(20_000)
    if (chunk.length === 0) return Buffer.concat(chunks)
    chunks.push(chunk)
  }
}
