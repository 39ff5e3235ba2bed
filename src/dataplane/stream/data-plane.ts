import type { Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import { checkAdoptable } from '../adopt-check.ts'
import { readDialTimeout, readJoinToLimits } from '../join-options.ts'
import { LateJoin } from '../late-join.ts'
import type { DataPlaneStats } from '../stats.ts'
import { checkTlsOptions } from '../tls-options.ts'
import type {
  DataPlane,
  DataPlaneMode,
  DialOptions,
  DialTarget,
  Endpoint,
  InheritedSocket,
  Join,
  JoinOptions,
  JoinResult,
  JoinToOptions,
  Lane,
  LaneEvents,
  LaneRole,
  ListenAddress,
  Listener,
  ListenOptions,
  RateLimit,
  TlsOptions,
} from '../types.ts'
import { workerStats } from '../worker-stats.ts'
import { dialSocket } from './dial.ts'
import { StreamEndpoint } from './endpoint.ts'
import { checkRates, streamJoin } from './join.ts'
import { streamLane } from './lane.ts'
import { type ListenerOwner, streamListen } from './listener.ts'
import { StreamRateLimit } from './rate-limit.ts'
import { secureEndpoint } from './secure.ts'
import { takeSocket } from './take-socket.ts'
import { StreamTally } from './tally.ts'

/** The data plane on Node streams and `node:tls`, for every platform. */
export class StreamDataPlane implements DataPlane, ListenerOwner {
  readonly kind = 'stream'
  readonly hasLanes = true
  readonly mode: DataPlaneMode
  readonly #tally = new StreamTally()
  #listeners = 0
  readonly #onGone = (): void => this.endpointGone()

  /** `mode` is what was asked for; `native` and the like say that streams stand in. */
  constructor(mode: DataPlaneMode = 'stream') {
    this.mode = mode
  }

  async listen(
    address: ListenAddress | InheritedSocket,
    options: ListenOptions,
    onEndpoints: (batch: readonly Endpoint[]) => void,
  ): Promise<Listener> {
    const listener = await streamListen(address, options, this, onEndpoints)
    this.#listeners += 1
    return listener
  }

  async dial(target: DialTarget, options: DialOptions = {}): Promise<Endpoint> {
    this.#tally.add('dials')
    const socket = await dialSocket(target, options).catch((error: unknown) => {
      // A dial that its caller gave up has not failed.
      if (options.signal?.aborted !== true) this.#tally.add('dialsFailed')
      throw error
    })
    this.#tally.endpointBorn()
    return StreamEndpoint.fromSocket(socket, undefined, { onGone: this.#onGone })
  }

  adopt(socket: Socket, head?: Uint8Array): Endpoint {
    checkAdoptable(socket)
    const taken = takeSocket(socket)
    this.#tally.endpointBorn()
    const bytes = Buffer.concat([head ?? Buffer.alloc(0), ...taken.unread])
    return StreamEndpoint.fromSocket(taken.socket, bytes, { onGone: this.#onGone })
  }

  async secure(endpoint: Endpoint, options: TlsOptions): Promise<Endpoint> {
    const own = ours(endpoint)
    checkTlsOptions(options)
    if (own.isVisit) throw new MillraceError('ERR_OPTION', 'secure: a visit has no connection of its own')
    if (own.encrypted) throw new MillraceError('ERR_OPTION', 'secure: the endpoint speaks TLS already')
    return await secureEndpoint(own, options, this.#tally)
  }

  join(a: Endpoint, b: Endpoint, options: JoinOptions = {}): Join {
    return streamJoin(ours(a), ours(b), options, this.#tally)
  }

  joinTo(a: Endpoint, target: DialTarget, options: JoinToOptions = {}): Join {
    const own = ours(a)
    readJoinToLimits(target, options)
    checkRates(options)
    const unusable = own.unusable()
    if (unusable !== undefined) throw unusable
    const dial = (signal: AbortSignal): Promise<Endpoint> =>
      this.dial(target, { timeoutMs: readDialTimeout(options), signal })
    const begin = (b: Endpoint, late: JoinToOptions): Join => {
      this.#tally.add('joins.now', -1)
      return this.join(own, b, late)
    }
    const onLost = (result: JoinResult): void => {
      this.#tally.add('joins.now', -1)
      this.#tally.joinLost(result)
    }
    this.#tally.add('joins.now')
    const path = own.encrypted ? 'tls' : 'stream'
    return new LateJoin(own, { dial, begin, path, onLost }, options)
  }

  lane(endpoint: Endpoint, role: LaneRole, events: LaneEvents): Lane {
    return streamLane(ours(endpoint), role, events, this.#tally)
  }

  rateLimit(bytesPerSecond: number, burst?: number): RateLimit {
    return new StreamRateLimit(bytesPerSecond, burst)
  }

  stats(): DataPlaneStats {
    const source = this.#tally.snapshot()
    return {
      kind: this.kind,
      mode: this.mode,
      threads: 0,
      endpoints: source('endpoints.now'),
      joins: source('joins.now'),
      listeners: this.#listeners,
      pipes: 0,
      spliceWorks: false,
      tls: { by: 'stream', reason: '' },
      spliceFallbacks: {},
      workers: [workerStats('streams', source)],
      total: workerStats('total', source),
    }
  }

  accepted(): void {
    this.#tally.add('accepted')
    this.#tally.endpointBorn()
  }

  refused(): void {
    this.#tally.add('acceptsRefused')
  }

  endpointGone(): void {
    this.#tally.endpointGone()
  }

  listenerGone(): void {
    this.#listeners -= 1
  }
}

function ours(endpoint: Endpoint): StreamEndpoint {
  if (endpoint instanceof StreamEndpoint) return endpoint
  throw new MillraceError('ERR_OPTION', 'the endpoint belongs to another data plane')
}
