import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Endpoint, JoinResult, TlsOptions } from '../../../src/dataplane/types.ts'
import { born } from '../../contract/harness/bed.ts'
import { contract, tcp } from '../../contract/harness/contract.ts'
import { tlsOptions } from '../../contract/harness/tls-bed.ts'
import { eventually, within } from '../../contract/harness/wait.ts'
import { bulk, bulkBytes, digest, Meter } from './bulk.ts'
import { type Arena, authority, oneOfEach } from './hostile.ts'
import type { Version } from './wire.ts'

/** Every version that is spoken. */
export const versions: readonly Version[] = ['TLSv1.2', 'TLSv1.3']
/** What arrives at a service, and what it answers. */
export const sums = { sent: digest(bulk(1)), answered: digest(bulk(2)) } as const
const patience = 60_000

/** Registers a case for every data plane; with a reason to skip it, it is skipped with that. */
export function interop(name: string, skip: string | false, body: (arena: Arena) => Promise<void>): void {
  contract(`interop: ${name}`, { who: oneOfEach, on: [tcp] }, async ({ t, contestant: { plane } }) => {
    if (skip !== false) {
      t.skip(skip)
      return
    }
    assert.ok(plane)
    const cleanups: (() => void | Promise<void>)[] = []
    t.after(async () => {
      for (const cleanup of cleanups.splice(0)) await cleanup()
    })
    await body({ plane, after: (cleanup) => cleanups.unshift(cleanup), note: (text) => t.diagnostic(text) })
  })
}

/** Listens on loopback. */
export async function listening(arena: Arena, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  arena.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** When a service answers: once it has all the bytes, or only behind their end. */
export type Answers = 'behind the bytes' | 'behind the end'

/** A plain service: takes {@link bulk}(1), answers with {@link bulk}(2) and ends. */
export function bulkService(meters: Meter[], answers: Answers): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    const meter = new Meter(socket)
    meters.push(meter)
    if (answers === 'behind the end') socket.on('end', () => socket.end(bulk(2)))
    else {
      socket.on('data', () => {
        if (meter.bytes === bulkBytes) socket.end(bulk(2))
      })
    }
  })
}

/** A relay in front of a plain service: TLS ends at the data plane. */
export class Front {
  readonly port: number
  /** Of each connection that got through, in turn. */
  readonly endpoints: Endpoint[] = []
  readonly results: JoinResult[] = []
  readonly failures: string[] = []

  private constructor(port: number) {
    this.port = port
  }

  static async open(arena: Arena, service: number, options: Partial<TlsOptions> = {}): Promise<Front> {
    const { plane } = arena
    const tls = {
      ...tlsOptions('server', authority),
      alpn: ['interop', 'http/1.1'],
      truncation: 'fin',
      ...options,
    } as TlsOptions
    let front: Front | undefined
    const join = async (plain: Endpoint): Promise<void> => {
      const secured = await plane.secure(plain, tls)
      front?.endpoints.push(secured)
      const local = await plane.dial({ host: '127.0.0.1', port: service })
      const joined = plane.join(secured, local)
      arena.after(() => joined.destroy())
      front?.results.push(await joined.done)
    }
    const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
      for (const endpoint of batch) {
        join(endpoint).catch((error: unknown) => {
          front?.failures.push(String(error))
        })
      }
    })
    arena.after(() => listener.close())
    assert.ok(listener.address.family === 'ipv4')
    front = new Front(listener.address.port)
    return front
  }

  /** Waits for the ends of so many joins. */
  async ended(count: number): Promise<readonly JoinResult[]> {
    await eventually(
      () => `${count} joins end; ${this.results.length} have; ${this.failures.join(', ')}`,
      () => this.results.length >= count || this.failures.length > 0,
      patience,
    )
    assert.deepEqual(this.failures, [])
    return this.results
  }
}

/** A visitor in plain whose bytes go through a TLS client endpoint to a server: what an agent does for https://. */
export class Outing {
  readonly plain: Socket
  readonly heard: Meter
  readonly ended: Promise<JoinResult>

  private constructor(plain: Socket, ended: Promise<JoinResult>) {
    this.plain = plain
    this.heard = new Meter(plain)
    this.ended = ended
  }

  /** Keep `tls` for another outing: sessions are remembered by it. */
  static async begin(arena: Arena, port: number, tls: TlsOptions): Promise<Outing> {
    const { plane } = arena
    const endpoint = await plane.dial({ host: '127.0.0.1', port })
    const secured = await within(plane.secure(endpoint, tls), 'secure()')
    const { endpoint: local, socket } = await born(plane, { transport: 'tcp', birth: 'listen' })
    socket.on('error', () => undefined)
    const joined = plane.join(secured, local)
    arena.after(async () => {
      socket.destroy()
      joined.destroy()
      await within(joined.done, 'done after destroy()')
    })
    return new Outing(socket, joined.done)
  }

  /** Waits for the whole answer. */
  async answered(): Promise<void> {
    await eventually(
      () => `the answer is there; ${this.heard.bytes} bytes`,
      () => this.heard.bytes >= bulkBytes,
      patience,
    )
    assert.equal(this.heard.digest, sums.answered)
  }
}

/** What a client endpoint needs for localhost. */
export function clientTls(more: Partial<TlsOptions> = {}): TlsOptions {
  return { ...tlsOptions('client', authority), alpn: ['interop'], truncation: 'fin', ...more } as TlsOptions
}
