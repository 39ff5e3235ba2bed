import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { TestContext } from 'node:test'
import { createDataPlane } from '../../src/dataplane/create.ts'
import type { DataPlane, Endpoint, JoinOptions, JoinResult } from '../../src/dataplane/types.ts'
import type { HttpLimits } from '../../src/http/limits.ts'
import { silentLogger } from '../../src/observe/log.ts'
import { Refusals } from '../../src/observe/refusals.ts'
import { HttpFront, type HttpRoute } from '../../src/relay/http-front.ts'

/** Fails a test that would hang; far above what a loaded machine needs. */
const PATIENCE = 20_000

/** One end of a plain connection, with everything it has received. */
export class Peer {
  readonly socket: net.Socket
  /** One character a byte. */
  received = ''
  /** How the other side ended: undefined until it has. */
  ending: 'fin' | 'reset' | undefined
  readonly #watchers = new Set<() => void>()

  constructor(socket: net.Socket) {
    this.socket = socket
    const tell = (): void => {
      for (const watcher of this.#watchers) watcher()
    }
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1')
      tell()
    })
    socket.on('end', () => {
      this.ending ??= 'fin'
      tell()
    })
    socket.on('error', () => {
      this.ending = 'reset'
      tell()
    })
  }

  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  /** Waits for a state of this peer. */
  async until(what: string, reached: (peer: this) => boolean): Promise<void> {
    if (reached(this)) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`waited in vain: ${what}; ${this.ending ?? 'open'}, got ${this.received.slice(-300)}`))
      }, PATIENCE)
      const watcher = (): void => {
        if (!reached(this)) return
        clearTimeout(timer)
        this.#watchers.delete(watcher)
        resolve()
      }
      this.#watchers.add(watcher)
    })
  }

  has(text: string): Promise<void> {
    return this.until(`for ${JSON.stringify(text)}`, (peer) => peer.received.includes(text))
  }

  ends(how?: 'fin' | 'reset'): Promise<void> {
    return this.until(`for ${how ?? 'the end'}`, (peer) =>
      how === undefined ? peer.ending !== undefined : peer.ending === how,
    )
  }
}

/** What a bed can be told. */
export interface BedOptions {
  readonly scheme?: 'http' | 'https'
  readonly limits?: Partial<HttpLimits>
  readonly httpAuth?: string
  readonly joinOptions?: JoinOptions
  /** Replaces the dial to the service. */
  readonly openProxy?: (dial: () => Promise<Endpoint>, dataPlane: DataPlane) => Promise<Endpoint>
  /** The same for a visitor who has to move. */
  readonly moveProxy?: BedOptions['openProxy']
  /** Where the service is instead of the recording one. */
  readonly servicePort?: number
}

/** A front with one route, `a.example`, whose proxy connections lead straight to a service that records. */
export interface Bed {
  readonly front: HttpFront
  readonly port: number
  /** Connections that reached the service, oldest first. */
  readonly services: readonly Peer[]
  /** Times that a proxy connection was asked for. */
  readonly opened: () => number
  /** Proxy connections that came to no join. */
  readonly unused: () => number
  visit(text?: string): Peer
  /** The service's first connection, once it is there. */
  service(): Promise<Peer>
  /** So many of its connections, as soon as there are so many. */
  reached(count: number): Promise<readonly Peer[]>
  /** The result of the first join. */
  readonly joinEnd: Promise<JoinResult>
  /** Waits until the front serves nobody. */
  quiet(): Promise<void>
}

/** Sets a bed up; everything in it ends with the test. */
export const makeBed = async (t: TestContext, options: BedOptions = {}): Promise<Bed> => {
  const dataPlane = createDataPlane()
  const services: Peer[] = []
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    services.push(new Peer(socket))
    server.emit('peer')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const servicePort = options.servicePort ?? (server.address() as net.AddressInfo).port
  const dial = (): Promise<Endpoint> => dataPlane.dial({ host: '127.0.0.1', port: servicePort })

  let opened = 0
  let unused = 0
  let told: (result: JoinResult) => void = () => undefined
  const joinEnd = new Promise<JoinResult>((resolve) => {
    told = resolve
  })
  const route: HttpRoute = {
    url: 'http://a.example',
    httpAuth: options.httpAuth ?? '',
    joinOptions: options.joinOptions ?? {},
    openProxy: () => {
      opened += 1
      return options.openProxy === undefined ? dial() : options.openProxy(dial, dataPlane)
    },
    moveProxy: () => (options.moveProxy === undefined ? dial() : options.moveProxy(dial, dataPlane)),
    onJoinEnd: (result) => told(result),
    onUnused: () => {
      unused += 1
    },
  }
  const front = new HttpFront({
    dataPlane,
    scheme: options.scheme ?? 'http',
    limits: options.limits ?? {},
    lookup: (host) => (host === 'a.example' ? route : undefined),
    log: silentLogger,
    refusals: new Refusals(silentLogger),
  })
  const listener = await dataPlane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
    for (const visitor of batch) front.serve(visitor)
  })
  assert.ok(listener.address.family !== 'unix')
  const { port } = listener.address

  t.after(async () => {
    front.close()
    for (const socket of sockets) socket.destroy()
    server.close()
    await listener.close()
  })

  const reached = async (count: number): Promise<readonly Peer[]> => {
    while (services.length < count) await once(server, 'peer', { signal: AbortSignal.timeout(PATIENCE) })
    return services
  }

  return {
    front,
    port,
    services,
    opened: () => opened,
    unused: () => unused,
    joinEnd,
    visit: (text = '') => {
      const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true })
      sockets.add(socket)
      const peer = new Peer(socket)
      if (text !== '') peer.send(text)
      return peer
    },
    service: async () => {
      const [first] = await reached(1)
      assert(first !== undefined)
      return first
    },
    reached,
    quiet: () => eventually(() => front.active === 0, 'the front to be quiet'),
  }
}

/** Polls for a state that no event tells of. */
export const eventually = async (reached: () => boolean, what: string): Promise<void> => {
  const deadline = Date.now() + PATIENCE
  while (!reached()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
