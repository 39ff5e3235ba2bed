/** Visitors whose every byte carries their key and its place: whatever reaches the wrong one, or is lost, shows. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Of these many keys no two have the same bytes: a prime. */
const keys = 65_521
/** A visitor's key is below this, and its answer's is so much above it. */
const answers = 32_760
/** Behind a multiple of this a key's bytes begin; it has no factor in common with `keys`. */
const stride = 7_919
const ring = Buffer.alloc(keys * 2)
for (let at = 0, state = 1; at < keys; at++) {
  // Any sequence without a short period: numbers of Lehmer's generator (Park and Miller).
  state = (state * 48_271) % 2_147_483_647
  ring[at] = ring[at + keys] = state & 0xff
}

/** The bytes of a key from a place on, at most `keys` of them. */
function keyed(key: number, from: number, length: number): Buffer {
  const start = (from + key * stride) % keys
  return ring.subarray(start, start + Math.min(length, keys))
}

/** Takes what one end receives of a key. */
class Reader {
  readonly #key: number
  /** Bytes so far. */
  got = 0
  astray = false

  constructor(key: number) {
    this.#key = key
  }

  take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const wanted = keyed(this.#key, this.got, chunk.length - at)
      if (!chunk.subarray(at, at + wanted.length).equals(wanted)) this.astray = true
      at += wanted.length
      this.got += wanted.length
    }
  }
}

/** How a visit goes. The numbers are what travels. */
const stories = ['whole', 'answer-first', 'slow', 'visitor-resets', 'service-resets'] as const
const headBytes = 16

interface Plan {
  readonly key: number
  readonly up: number
  readonly down: number
  readonly story: (typeof stories)[number]
}

function encode({ key, up, down, story }: Plan): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeUInt32LE(key, 0)
  head.writeUInt32LE(up, 4)
  head.writeUInt32LE(down, 8)
  head.writeUInt32LE(stories.indexOf(story), 12)
  return head
}

function decode(head: Buffer): Plan {
  const story = stories[head.readUInt32LE(12)] ?? 'whole'
  return { key: head.readUInt32LE(0), up: head.readUInt32LE(4), down: head.readUInt32LE(8), story }
}

/** What came of a number of visits. */
export interface Outcome {
  visits: number
  bytes: number
  /** Visits of which an end received bytes that were not for it. Must be 0. */
  astray: number
  /** Visits without a reset that were not complete. Must be 0. */
  incomplete: number
}

async function speak(socket: Socket, key: number, length: number): Promise<void> {
  for (let at = 0; at < length && !socket.destroyed; ) {
    const bytes = keyed(key, at, Math.min(length - at, 1 + ((key * 31 + at) % 40_000)))
    at += bytes.length
    // A reset ends the wait as well.
    if (!socket.write(bytes)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined)
  }
}

/** The service behind the tunnel. */
export class KeyedService {
  readonly #server: Server
  readonly #outcome: Outcome
  readonly #sockets = new Set<Socket>()

  private constructor(outcome: Outcome) {
    this.#outcome = outcome
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      this.#serve(socket)
    })
  }

  /** On a free port; `outcome` is shared with the visitors. */
  static async start(outcome: Outcome): Promise<KeyedService> {
    const service = new KeyedService(outcome)
    service.#server.listen(0, '127.0.0.1')
    await once(service.#server, 'listening')
    return service
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #serve(socket: Socket): void {
    let head = Buffer.alloc(0)
    let plan: Plan | undefined
    let reader: Reader | undefined
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      let rest = chunk
      if (plan === undefined) {
        head = Buffer.concat([head, chunk])
        if (head.length < headBytes) return
        plan = decode(head)
        reader = new Reader(plan.key)
        rest = head.subarray(headBytes)
        if (plan.story !== 'whole') void this.#answer(socket, plan)
      }
      reader?.take(rest)
      this.#outcome.bytes += rest.length
    })
    socket.on('end', () => {
      if (plan?.story === 'whole') void this.#answer(socket, plan)
      if (plan !== undefined && reader?.got !== plan.up && !plan.story.endsWith('resets')) this.#outcome.incomplete++
    })
    socket.on('close', () => {
      if (reader?.astray === true) this.#outcome.astray++
    })
  }

  async #answer(socket: Socket, { key, down, story }: Plan): Promise<void> {
    const cut = story === 'service-resets'
    await speak(socket, key + answers, cut ? Math.floor(down / 2) : down)
    if (cut) socket.resetAndDestroy()
    else socket.end()
  }
}

/** One visit, from connect to its end. */
async function visit(port: number, plan: Plan, outcome: Outcome): Promise<void> {
  const { key, up, down, story } = plan
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
  const reader = new Reader(key + answers)
  let ended = false
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    reader.take(chunk)
    outcome.bytes += chunk.length
  })
  socket.on('end', () => {
    ended = true
    if (story === 'visitor-resets') socket.resetAndDestroy()
  })
  if (story === 'slow') {
    socket.pause()
    void delay(20).then(() => socket.resume())
  }
  socket.write(encode(plan))
  await speak(socket, key, story === 'visitor-resets' ? Math.floor(up / 2) : up)
  if (story === 'visitor-resets') socket.resetAndDestroy()
  else socket.end()
  await closed
  outcome.visits++
  if (reader.astray) outcome.astray++
  if (!story.endsWith('resets') && (!ended || reader.got !== down)) outcome.incomplete++
}

/** Sends so many visitors to a tunnel, `atOnce` at a time. Keys are from 0 on; the seed chooses sizes and stories. */
export async function sendKeyed(
  port: number,
  outcome: Outcome,
  { visitors, atOnce, seed, most }: Readonly<Record<'visitors' | 'atOnce' | 'seed' | 'most', number>>,
): Promise<void> {
  let state = seed
  const below = (n: number): number => {
    state = (state * 48_271) % 2_147_483_647
    return state % n
  }
  let next = 0
  const one = async (): Promise<void> => {
    for (let key = next++; key < visitors; key = next++) {
      const size = (): number => below([16, 1_000, 30_000, most][below(4)] ?? 1)
      // Two of five are cut off.
      const story = stories[below(stories.length)] ?? 'whole'
      await visit(port, { key: key % answers, up: size(), down: size(), story }, outcome)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}
