import type { Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import { checkAdoptable } from '../adopt-check.ts'
import type {
  DataPlane,
  DataPlaneMode,
  DataPlaneStats,
  DialOptions,
  DialTarget,
  Endpoint,
  Join,
  JoinOptions,
  ListenAddress,
  Listener,
  ListenOptions,
  RateLimit,
  TlsOptions,
} from '../types.ts'
import { dialSocket } from './dial.ts'
import { StreamEndpoint } from './endpoint.ts'
import { streamJoin } from './join.ts'
import { type ListenerOwner, streamListen } from './listener.ts'
import { StreamRateLimit } from './rate-limit.ts'
import { secureEndpoint } from './secure.ts'
import { takeSocket } from './take-socket.ts'

/** The data plane on Node streams and `node:tls`, for every platform. */
export class StreamDataPlane implements DataPlane, ListenerOwner {
  readonly kind = 'stream'
  readonly mode: DataPlaneMode
  #endpoints = 0
  #joins = 0
  #listeners = 0
  readonly #onGone = (): void => this.endpointGone()
  readonly #onJoinOver = (): void => {
    this.#joins -= 1
  }

  /** `mode` is what was asked for; `native` and the like say that streams stand in. */
  constructor(mode: DataPlaneMode = 'stream') {
    this.mode = mode
  }

  async listen(
    address: ListenAddress,
    options: ListenOptions,
    onEndpoints: (batch: readonly Endpoint[]) => void,
  ): Promise<Listener> {
    const listener = await streamListen(address, options, this, onEndpoints)
    this.#listeners += 1
    return listener
  }

  async dial(target: DialTarget, options: DialOptions = {}): Promise<Endpoint> {
    const socket = await dialSocket(target, options)
    this.endpointBorn()
    return StreamEndpoint.fromSocket(socket, undefined, { onGone: this.#onGone })
  }

  adopt(socket: Socket, head?: Uint8Array): Endpoint {
    checkAdoptable(socket)
    const taken = takeSocket(socket)
    this.endpointBorn()
    const bytes = Buffer.concat([head ?? Buffer.alloc(0), ...taken.unread])
    return StreamEndpoint.fromSocket(taken.socket, bytes, { onGone: this.#onGone })
  }

  secure(endpoint: Endpoint, options: TlsOptions): Promise<Endpoint> {
    return secureEndpoint(ours(endpoint), options)
  }

  join(a: Endpoint, b: Endpoint, options: JoinOptions = {}): Join {
    const join = streamJoin(ours(a), ours(b), options, this.#onJoinOver)
    this.#joins += 1
    return join
  }

  rateLimit(bytesPerSecond: number, burst?: number): RateLimit {
    return new StreamRateLimit(bytesPerSecond, burst)
  }

  stats(): DataPlaneStats {
    return {
      kind: this.kind,
      mode: this.mode,
      workers: 0,
      endpoints: this.#endpoints,
      joins: this.#joins,
      listeners: this.#listeners,
      spliceFallbacks: {},
      pipes: 0,
    }
  }

  endpointBorn(): void {
    this.#endpoints += 1
  }

  endpointGone(): void {
    this.#endpoints -= 1
  }

  listenerGone(): void {
    this.#listeners -= 1
  }
}

function ours(endpoint: Endpoint): StreamEndpoint {
  if (endpoint instanceof StreamEndpoint) return endpoint
  throw new MillraceError('ERR_OPTION', 'the endpoint belongs to another data plane')
}
