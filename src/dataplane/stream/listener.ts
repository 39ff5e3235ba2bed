import { createServer, type Server, type Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import { foreignSocket, Inherited } from '../inherited.ts'
import type { Address, Endpoint, InheritedSocket, ListenAddress, Listener, ListenOptions } from '../types.ts'
import { refusedPath } from '../unix-path.ts'
import { describe, makeAddress } from './address.ts'
import { StreamEndpoint } from './endpoint.ts'

/** Options that every TCP socket of a data plane has, accepted or dialed. */
export const socketOptions = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }

/** After `close()`: how many turns of the event loop without a new connection mean that the kernel's queue is empty. */
const quietTurns = 2
/** And how many turns at most, as new connections keep coming until the socket is closed. */
const maxTurns = 1_000

/** Who keeps account of a data plane's objects. */
export interface ListenerOwner {
  accepted(): void
  refused(): void
  endpointGone(): void
  listenerGone(): void
}

/** A listener on `net.Server`. */
export class StreamListener implements Listener {
  readonly address: Address
  readonly #server: Server
  readonly #options: ListenOptions
  readonly #owner: ListenerOwner
  readonly #onEndpoints: (batch: readonly Endpoint[]) => void
  readonly #onGone = (): void => {
    this.#live -= 1
    this.#owner.endpointGone()
  }
  #batch: StreamEndpoint[] = []
  #live = 0
  #refused = 0
  #accepted = 0
  #closed: Promise<void> | undefined

  /** `server` listens already; `path` is where, if it is a unix socket that doesn't know. */
  constructor(
    server: Server,
    options: ListenOptions,
    owner: ListenerOwner,
    onEndpoints: (batch: readonly Endpoint[]) => void,
    path = '',
  ) {
    this.#server = server
    this.#options = options
    this.#owner = owner
    this.#onEndpoints = onEndpoints
    const bound = server.address()
    this.address =
      bound === null || typeof bound === 'string'
        ? { family: 'unix', path: bound ?? path }
        : makeAddress(bound.address, bound.port)
    server.on('connection', (socket) => this.#accept(socket))
    // Failing accepts (EMFILE, ECONNABORTED) concern one connection; libuv goes on listening.
    server.on('error', () => {})
  }

  get refused(): number {
    return this.#refused
  }

  close(): Promise<void> {
    this.#closed ??= this.#drain()
    return this.#closed
  }

  leave(): Promise<void> {
    // What libuv has accepted has been delivered to us within its own turn.
    this.#closed ??= Promise.resolve().then(() => this.#end())
    return this.#closed
  }

  /** The socket's descriptor, which stays the listener's; -1 once it is closed. */
  get fd(): number {
    const handle: unknown = Reflect.get(this.#server, '_handle')
    const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
    return typeof fd === 'number' ? fd : -1
  }

  #accept(socket: Socket): void {
    this.#accepted += 1
    if (this.#live >= (this.#options.maxEndpoints ?? Number.POSITIVE_INFINITY)) {
      this.#refused += 1
      this.#owner.refused()
      socket.on('error', () => {})
      if (this.address.family === 'unix') socket.destroy()
      else socket.resetAndDestroy()
      return
    }
    this.#live += 1
    this.#owner.accepted()
    if (this.#batch.length === 0) setImmediate(() => this.#deliver())
    this.#batch.push(StreamEndpoint.fromSocket(socket, undefined, { onGone: this.#onGone }))
  }

  #deliver(): void {
    const batch = this.#batch
    this.#batch = []
    if (batch.length > 0) this.#onEndpoints(batch)
  }

  /** Closing a listening socket resets what waits in its queue, so accept until nothing comes any more. */
  async #drain(): Promise<void> {
    let quiet = 0
    for (let turn = 0; turn < maxTurns && quiet < quietTurns; turn += 1) {
      const before = this.#accepted
      await new Promise<void>((resolve) => setImmediate(resolve))
      quiet = this.#accepted === before ? quiet + 1 : 0
    }
    this.#end()
  }

  #end(): void {
    // The callback of close() would wait for every connection to end; the descriptor is closed within the call.
    this.#server.close()
    this.#owner.listenerGone()
    this.#deliver()
  }
}

/** Listens. Rejects with ERR_LISTEN. */
export function streamListen(
  address: ListenAddress | InheritedSocket,
  options: ListenOptions,
  owner: ListenerOwner,
  onEndpoints: (batch: readonly Endpoint[]) => void,
): Promise<StreamListener> {
  const server = createServer({ ...socketOptions, pauseOnConnect: true })
  return new Promise((resolve, reject) => {
    const inherited = address instanceof Inherited ? address : undefined
    if ('address' in address && inherited === undefined) throw foreignSocket()
    const name = 'address' in address ? 'on an inherited socket' : describe(address)
    const fail = (cause: Error): void => reject(new MillraceError('ERR_LISTEN', name, { cause }))
    const refused = 'address' in address ? undefined : refusedPath('listen', address)
    if (refused !== undefined) {
      fail(refused)
      return
    }
    const path = inherited?.address.family === 'unix' ? inherited.address.path : ''
    server.once('error', fail)
    try {
      const where = inherited === undefined ? { ...address } : { fd: inherited.fd }
      server.listen({ ...where, backlog: options.backlog ?? 4096 }, () => {
        server.off('error', fail)
        // libuv has the descriptor now.
        inherited?.release()
        resolve(new StreamListener(server, options, owner, onEndpoints, path))
      })
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  })
}
