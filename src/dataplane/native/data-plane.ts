import { isIP, type Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import { checkAdoptable } from '../adopt-check.ts'
import { readDialTimeout, readJoinLimits, readJoinToLimits } from '../join-options.ts'
import { LateJoin } from '../late-join.ts'
import { readTlsMode } from '../mode.ts'
import type { DataPlaneStats } from '../stats.ts'
import { StreamEndpoint } from '../stream/endpoint.ts'
import { secureEndpoint } from '../stream/secure.ts'
import { StreamTally } from '../stream/tally.ts'
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
import { sumOf, workerStats } from '../worker-stats.ts'
import { adoptSocket } from './adopt.ts'
import type { Core } from './core.ts'
import { nativeDial } from './dial.ts'
import { NativeEndpoint } from './endpoint.ts'
import { NativeJoin } from './join.ts'
import { NativeLane } from './lane.ts'
import { nativeListen } from './listener.ts'
import { MixedJoin } from './mixed-join.ts'
import { secureNative } from './move.ts'
import { NativeRateLimit } from './rate-limit.ts'
import { secureInEngine } from './secure.ts'

/** The data plane on the engine. Where that can't speak TLS, TLS endpoints and joins with one run on streams. */
export class NativeDataPlane implements DataPlane {
  readonly kind = 'native'
  readonly mode: DataPlaneMode
  readonly hasLanes: boolean
  readonly #core: Core
  readonly #streams = new StreamTally()
  /** Why TLS runs on streams; '' when the engine speaks it. */
  readonly #tlsProblem: string

  /** Throws ERR_DATAPLANE_TLS. */
  constructor(core: Core, mode: DataPlaneMode, tlsMode: 'native' | 'stream' = readTlsMode()) {
    this.#core = core
    this.mode = mode
    this.#tlsProblem = tlsMode === 'stream' ? 'MILLRACE_TLS=stream asks for it' : core.addon.tlsProblem()
    this.hasLanes = this.#tlsProblem === ''
  }

  listen(
    address: ListenAddress | InheritedSocket,
    options: ListenOptions,
    onEndpoints: (batch: readonly Endpoint[]) => void,
  ): Promise<Listener> {
    return nativeListen(this.#core, address, options, onEndpoints)
  }

  dial(target: DialTarget, options: DialOptions = {}): Promise<Endpoint> {
    return nativeDial(this.#core, target, options)
  }

  adopt(socket: Socket, head?: Uint8Array): Endpoint {
    checkAdoptable(socket)
    return adoptSocket(this.#core, socket, head)
  }

  async secure(endpoint: Endpoint, options: TlsOptions): Promise<Endpoint> {
    const own = ours(endpoint)
    checkTlsOptions(options)
    if (own.isVisit) throw new MillraceError('ERR_OPTION', 'secure: a visit has no connection of its own')
    if (own.encrypted) throw new MillraceError('ERR_OPTION', 'secure: the endpoint speaks TLS already')
    if (own instanceof StreamEndpoint) return await secureEndpoint(own, options, this.#streams)
    if (this.#tlsProblem !== '') return await secureNative(own, options, this.#streams)
    return await secureInEngine(this.#core, own, options)
  }

  join(a: Endpoint, b: Endpoint, options: JoinOptions = {}): Join {
    const [one, other] = [ours(a), ours(b)]
    if (one === other) throw new MillraceError('ERR_SOCKET_SAME')
    const limits = readJoinLimits(options)
    NativeRateLimit.bucketOf(options.aToB?.rate)
    NativeRateLimit.bucketOf(options.bToA?.rate)
    const unusable = one.unusable() ?? other.unusable()
    if (unusable !== undefined) throw unusable
    if (one instanceof NativeEndpoint && other instanceof NativeEndpoint) {
      return NativeJoin.between(this.#core, one, other, options, limits, this.mode)
    }
    // The descriptor of an endpoint that speaks TLS is of no use to streams.
    if ([one, other].some((side) => side instanceof NativeEndpoint && side.encrypted)) throw foreign()
    return new MixedJoin(one, other, options, this.#streams)
  }

  joinTo(a: Endpoint, target: DialTarget, options: JoinToOptions = {}): Join {
    const own = ours(a)
    const limits = readJoinToLimits(target, options)
    NativeRateLimit.bucketOf(options.aToB?.rate)
    NativeRateLimit.bucketOf(options.bToA?.rate)
    const unusable = own.unusable()
    if (unusable !== undefined) throw unusable
    // Names may have several addresses, to be raced: that is the dialer's business.
    if (own instanceof NativeEndpoint && ('path' in target || isIP(target.host) !== 0)) {
      return NativeJoin.to(this.#core, own, target, options, limits, this.mode)
    }
    const dial = (signal: AbortSignal): Promise<Endpoint> =>
      this.dial(target, { timeoutMs: readDialTimeout(options), signal })
    const begin = (b: Endpoint, late: JoinToOptions): Join => {
      this.#streams.add('joins.now', -1)
      return this.join(own, b, late)
    }
    const onLost = (result: JoinResult): void => {
      this.#streams.add('joins.now', -1)
      this.#streams.joinLost(result)
    }
    this.#streams.add('joins.now')
    const path = own.encrypted ? 'tls' : 'copy'
    return new LateJoin(own, { dial, begin, path, onLost }, options)
  }

  lane(endpoint: Endpoint, role: LaneRole, events: LaneEvents): Lane {
    const own = ours(endpoint)
    if (own.isVisit) throw new MillraceError('ERR_OPTION', 'lane: a visit has no connection of its own')
    if (own instanceof StreamEndpoint || !this.hasLanes)
      throw new MillraceError('ERR_OPTION', `lane: ${this.#tlsProblem}`)
    const unusable = own.unusable()
    if (unusable !== undefined) throw unusable
    return new NativeLane(this.#core, own, role, events)
  }

  rateLimit(bytesPerSecond: number, burst?: number): RateLimit {
    return new NativeRateLimit(this.#core.addon, bytesPerSecond, burst)
  }

  stats(): DataPlaneStats {
    const { statistics } = this.#core
    const streams = this.#streams.snapshot()
    const workers = statistics.workers.map((row, index) => workerStats(`engine-${index}`, row))
    const total = workerStats('total', sumOf([...statistics.workers, streams]))
    const fallbacks = Object.entries(total.fallbacks).filter(([, count]) => count > 0)
    return {
      kind: this.kind,
      mode: this.mode,
      threads: workers.length,
      endpoints: this.#core.endpoints + streams('endpoints.now'),
      joins: this.#core.joins + streams('joins.now'),
      listeners: this.#core.listeners,
      pipes: total.pipes.leased + total.pipes.pooled,
      spliceWorks: statistics.spliceWorks,
      tls: { by: this.#tlsProblem === '' ? 'native' : 'stream', reason: this.#tlsProblem },
      spliceFallbacks: {
        ...Object.fromEntries(fallbacks),
        ...(statistics.spliceWorks ? {} : { 'refused-at-start': 1 }),
      },
      workers: [...workers, workerStats('streams', streams)],
      total,
    }
  }
}

function ours(endpoint: Endpoint): NativeEndpoint | StreamEndpoint {
  if (endpoint instanceof NativeEndpoint || endpoint instanceof StreamEndpoint) return endpoint
  throw foreign()
}

function foreign(): MillraceError {
  return new MillraceError('ERR_OPTION', 'the endpoint belongs to another data plane')
}
