import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { DataPlane, Endpoint, Join, JoinResult, TlsOptions } from '../../../src/dataplane/types.ts'
import { MillraceError } from '../../../src/errors.ts'
import { born } from '../../contract/harness/bed.ts'
import { makeAuthority } from '../../contract/harness/certificates.ts'
import type { Contestant } from '../../contract/harness/contestants.ts'
import { contract, tcp } from '../../contract/harness/contract.ts'
import type { CleanUp } from '../../contract/harness/door.ts'
import { isLost } from '../../contract/harness/handle.ts'
import { backTo, countsDescriptors, type Ledger, ledger } from '../../contract/harness/ledger.ts'
import { collect, type Received } from '../../contract/harness/raw.ts'
import { tlsOptions } from '../../contract/harness/tls-bed.ts'
import { eventually, turns, within } from '../../contract/harness/wait.ts'
import { Wire, type WireOptions } from './wire.ts'

/** The authority of all peers here. */
export const authority = await makeAuthority('millrace hostile peers')

/** What a case gets: the data plane under test, and a place for what is to be done at its end. */
export interface Arena extends CleanUp {
  readonly plane: DataPlane
  /** Says what became of it, for docs/tls.md. */
  readonly note: (text: string) => void
}

/** Of the engine's modes one is enough: TLS is the same in all of them. */
export function oneOfEach({ mode }: Contestant): boolean {
  return mode === 'native' || mode === 'stream'
}

const bystanders = new Map<DataPlane, Bystander>()

/**
 * Registers a case for every data plane. Behind it everything must be back: no descriptor, endpoint or join is left,
 * and a TLS join that lived through it still carries bytes.
 */
export function hostile(name: string, body: (arena: Arena) => Promise<void>): void {
  contract(`hostile: ${name}`, { who: oneOfEach, on: [tcp] }, async ({ t, contestant: { plane } }) => {
    assert.ok(plane)
    const bystander = bystanders.get(plane) ?? (await Bystander.start(plane))
    bystanders.set(plane, bystander)
    const base = await atRest(plane)
    const cleanups: (() => void | Promise<void>)[] = []
    t.after(async () => {
      // For a case that failed halfway.
      for (const cleanup of cleanups.splice(0)) await cleanup()
    })
    await body({ plane, after: (cleanup) => cleanups.unshift(cleanup), note: (text) => t.diagnostic(text) })
    for (const cleanup of cleanups.splice(0)) await cleanup()
    await bystander.ping()
    if (countsDescriptors) await backTo(base, plane)
  })
}

/** Ends the bystanders: to be called in `after()` of each file. */
export async function goHome(): Promise<void> {
  for (const bystander of bystanders.values()) await bystander.stop()
  bystanders.clear()
}

/** An endpoint in front of a wire, its handshake not yet begun. */
export async function wired(
  arena: Arena,
  options: Omit<WireOptions, 'authority'>,
): Promise<{ readonly endpoint: Endpoint; readonly wire: Wire }> {
  const { endpoint, socket } = await bornFor(arena, options.near)
  const wire = new Wire(socket, { authority, ...options })
  arena.after(() => wire.destroy())
  return { endpoint, wire }
}

/** An endpoint in front of a bare socket. */
export async function bornFor(
  arena: Arena,
  near: 'server' | 'client',
): Promise<{ readonly endpoint: Endpoint; readonly socket: Socket }> {
  const one = await born(arena.plane, { transport: 'tcp', birth: near === 'server' ? 'listen' : 'dial' })
  one.socket.on('error', () => undefined)
  arena.after(() => {
    one.socket.destroy()
    one.endpoint.destroy('reset')
  })
  return one
}

/** A join of a TLS endpoint with a hostile peer, side a, and a plain one with a peer that only listens, side b. */
export interface Attack {
  readonly wire: Wire
  readonly join: Join
  /** What came out in the clear. */
  readonly plain: Received
  readonly plainSocket: Socket
  /** The end of the join. */
  readonly ended: () => Promise<JoinResult>
}

/** Opens one. Both handshakes are over; nothing was sent. */
export async function attack(
  arena: Arena,
  options: Omit<WireOptions, 'authority'>,
  tls: Partial<TlsOptions> = {},
): Promise<Attack> {
  const { endpoint, wire } = await wired(arena, options)
  const other = await born(arena.plane, { transport: 'tcp', birth: 'dial' })
  const [secured] = await Promise.all([
    within(arena.plane.secure(endpoint, { ...tlsOptions(options.near, authority), ...tls } as TlsOptions), 'secure()'),
    wire.established(),
  ])
  const plain = watched(other.socket)
  const join = arena.plane.join(secured, other.endpoint)
  arena.after(async () => {
    other.socket.destroy()
    join.destroy()
    await within(join.done, 'done after destroy()')
  })
  const story = (): string => `session ${wire.failure || 'alive'}, wire ${wire.end || 'open'}, plain ${plain.end()}`
  const ended = (): Promise<JoinResult> => within(join.done, `the end of the join; ${story()}`)
  return { wire, join, plain, plainSocket: other.socket, ended }
}

/** How a handshake ends: '' when it succeeds (the endpoint is then reset), else the code and the sentence. */
export async function outcomeOf(
  securing: Promise<Endpoint>,
): Promise<{ readonly code: string; readonly text: string }> {
  const result = await within(
    securing.then(
      (endpoint) => endpoint,
      (error: unknown) => error,
    ),
    'secure()',
  )
  if (result instanceof MillraceError) return { code: result.code, text: result.message }
  if (result instanceof Error) throw result
  const endpoint = result as Endpoint
  endpoint.destroy('reset')
  return { code: '', text: '' }
}

/** A TLS join of well-behaved peers: whatever others do, it goes on. */
class Bystander {
  readonly #session: TLSSocket
  readonly #join: Join
  readonly #echo: Socket
  #answered = 0
  #asked = 0

  private constructor(session: TLSSocket, join: Join, echo: Socket) {
    this.#session = session
    this.#join = join
    this.#echo = echo
    echo.pipe(echo)
    // At the end both are reset.
    for (const socket of [session, echo]) socket.on('error', () => undefined)
    session.on('data', (bytes: Buffer) => {
      this.#answered += bytes.length
    })
  }

  static async start(plane: DataPlane): Promise<Bystander> {
    const a = await born(plane, { transport: 'tcp', birth: 'listen' })
    const b = await born(plane, { transport: 'tcp', birth: 'dial' })
    const session = connect({ socket: a.socket, ca: authority.ca, servername: 'localhost' })
    const [endpoint] = await Promise.all([
      plane.secure(a.endpoint, tlsOptions('server', authority)),
      within(once(session, 'secureConnect'), 'the handshake of the bystander'),
    ])
    const bystander = new Bystander(session, plane.join(endpoint, b.endpoint), b.socket)
    await bystander.ping()
    return bystander
  }

  async ping(): Promise<void> {
    this.#asked += 10_000
    this.#session.write(Buffer.alloc(10_000, 'p'))
    await eventually('the bystander has its answer', () => this.#answered === this.#asked)
  }

  async stop(): Promise<void> {
    this.#join.destroy()
    await within(this.#join.done, 'the end of the bystander')
    this.#session.destroy()
    this.#echo.destroy()
  }
}

/** As `collect`, but sure of a FIN: libuv reports an end, too, when bytes and a reset arrive together. */
function watched(socket: Socket): Received {
  let lost = false
  socket.on('end', () => {
    lost ||= isLost(socket)
  })
  const received = collect(socket)
  const end = (): string => (lost && received.end() === 'fin' ? 'ECONNRESET' : received.end())
  return { bytes: received.bytes, end, ended: received.ended.then(end) }
}

/** What is held once nothing changes any more. */
async function atRest(plane: DataPlane): Promise<Ledger> {
  await turns(10)
  let last = ''
  await eventually('the ledger is at rest', () => {
    const now = JSON.stringify(ledger(plane))
    const same = now === last
    last = now
    return same
  })
  return ledger(plane)
}
