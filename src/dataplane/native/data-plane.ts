import type { Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import { checkAdoptable } from '../adopt-check.ts'
import { readJoinLimits } from '../join-options.ts'
import { StreamEndpoint } from '../stream/endpoint.ts'
import { secureEndpoint } from '../stream/secure.ts'
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
import { adoptSocket } from './adopt.ts'
import type { Core } from './core.ts'
import { nativeDial } from './dial.ts'
import { NativeEndpoint } from './endpoint.ts'
import { NativeJoin } from './join.ts'
import { nativeListen } from './listener.ts'
import { MixedJoin } from './mixed-join.ts'
import { secureNative } from './move.ts'
import { NativeRateLimit } from './rate-limit.ts'

/** Fallback in native/engine/stats.h, by number. */
const fallbackNames = ['unsupported', 'no-pipe', 'small-pipe', 'urgent', 'unreliable']

/** The data plane on the engine. TLS endpoints, and joins with one, run on streams. */
export class NativeDataPlane implements DataPlane {
  readonly kind = 'native'
  readonly mode: DataPlaneMode
  readonly #core: Core
  #streamEndpoints = 0
  #streamJoins = 0
  readonly #onGone = (): void => {
    this.#streamEndpoints -= 1
  }
  readonly #hooks = {
    onMoved: (): void => {
      this.#streamEndpoints += 1
    },
    onGone: this.#onGone,
    onOver: (): void => {
      this.#streamJoins -= 1
    },
  }

  constructor(core: Core, mode: DataPlaneMode) {
    this.#core = core
    this.mode = mode
  }

  listen(
    address: ListenAddress,
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
    if (own instanceof StreamEndpoint) return secureEndpoint(own, options)
    const secured = await secureNative(own, options, this.#hooks)
    return secured
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
      return new NativeJoin(this.#core, one, other, options, limits, this.mode)
    }
    this.#streamJoins += 1
    return new MixedJoin(one, other, options, this.#hooks)
  }

  rateLimit(bytesPerSecond: number, burst?: number): RateLimit {
    return new NativeRateLimit(this.#core.addon, bytesPerSecond, burst)
  }

  stats(): DataPlaneStats {
    const numbers = new Float64Array(6 + fallbackNames.length)
    this.#core.addon.stats(numbers)
    const at = (index: number): number => numbers[index] ?? 0
    const spliceFallbacks: Record<string, number> = {}
    for (const [index, name] of fallbackNames.entries()) {
      if (at(6 + index) > 0) spliceFallbacks[name] = at(6 + index)
    }
    if (at(1) === 0) spliceFallbacks['refused-at-start'] = 1
    return {
      kind: this.kind,
      mode: this.mode,
      workers: at(0),
      endpoints: at(2) + this.#streamEndpoints,
      joins: this.#core.joins + this.#streamJoins,
      listeners: at(4),
      spliceFallbacks,
      pipes: at(5),
    }
  }
}

function ours(endpoint: Endpoint): NativeEndpoint | StreamEndpoint {
  if (endpoint instanceof NativeEndpoint || endpoint instanceof StreamEndpoint) return endpoint
  throw new MillraceError('ERR_OPTION', 'the endpoint belongs to another data plane')
}
