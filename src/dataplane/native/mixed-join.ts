import { MillraceError } from '../../errors.ts'
import { readJoinLimits } from '../join-options.ts'
import { StreamEndpoint } from '../stream/endpoint.ts'
import { streamJoin } from '../stream/join.ts'
import type { StreamTally } from '../stream/tally.ts'
import type {
  DirectionName,
  DirectionOptions,
  EndReason,
  Join,
  JoinOptions,
  JoinResult,
  Path,
  PerDirection,
} from '../types.ts'
import { NativeEndpoint } from './endpoint.ts'
import { moveToStream } from './move.ts'
import { NativeRateLimit } from './rate-limit.ts'

const nothing: PerDirection<bigint> = { aToB: 0n, bToA: 0n }
const tls: PerDirection<Path> = { aToB: 'tls', bToA: 'tls' }

/**
 * A join with a TLS endpoint on streams: its plain side, if the engine has it, is moved to streams first, which takes a turn of a
 * worker. The handle is live from the start.
 */
export class MixedJoin implements Join {
  readonly #options: JoinOptions
  readonly #startedAt = performance.now()
  readonly #tally: StreamTally
  readonly #abort = (): void => this.destroy()
  /** The plain side, while it is on its way. */
  #leaving: NativeEndpoint | undefined
  #timer: NodeJS.Timeout | undefined
  #inner: Join | undefined
  #result: JoinResult | undefined
  /** Why it must end before it could begin. */
  #ending: EndReason | undefined
  #finished: [DirectionName, 'fin' | 'no-fin'][] = []
  #done: Promise<JoinResult> | undefined
  #resolve: ((result: JoinResult) => void) | undefined

  /**
   * One of the endpoints is a StreamEndpoint, and both are usable. The tally counts it as over before `onEnd` is called.
   */
  constructor(
    a: NativeEndpoint | StreamEndpoint,
    b: NativeEndpoint | StreamEndpoint,
    options: JoinOptions,
    tally: StreamTally,
  ) {
    this.#options = options
    this.#tally = tally
    const limits = readJoinLimits(options)
    const onEnd = options.onEnd && ((result: JoinResult, join: Join): void => options.onEnd?.(result, join))
    const directions = { ...onStreams('aToB', options.aToB), ...onStreams('bToA', options.bToA) }
    const converted = { ...options, ...directions, ...(onEnd && { onEnd }) }
    if (a instanceof StreamEndpoint && b instanceof StreamEndpoint) {
      this.#inner = streamJoin(a, b, converted, tally)
      return
    }
    const native = a instanceof NativeEndpoint ? a : b
    const other = native === a ? b : a
    if (!(native instanceof NativeEndpoint && other instanceof StreamEndpoint)) {
      throw new MillraceError('ERR_OPTION', 'the endpoint belongs to another data plane')
    }
    this.#leaving = native
    other.hold()
    tally.add('joins.now')
    moveToStream(native, true, tally, (moved) => {
      this.#arrived()
      const held = other.letGo()
      if (moved === undefined) {
        native.settleMove(undefined)
        other.destroy('reset')
        this.#lost()
      } else {
        const [one, two] = native === a ? [moved, other] : [other, moved]
        this.#begin(streamJoin(one, two, converted, tally))
        native.settleMove(moved)
      }
      held?.run()
    })
    // Bytes that were written before must leave first: the peer may not be taking them.
    const { stalledMs, maxDurationMs } = limits
    if (maxDurationMs > 0 && (stalledMs === 0 || maxDurationMs < stalledMs)) this.#giveUpAfter(maxDurationMs, 'limit')
    else if (stalledMs > 0) this.#giveUpAfter(stalledMs, 'stalled')
    if (options.signal?.aborted === true) this.destroy()
    else options.signal?.addEventListener('abort', this.#abort, { once: true })
  }

  get bytes(): PerDirection<bigint> {
    return this.#inner?.bytes ?? nothing
  }

  get path(): PerDirection<Path> {
    return this.#inner?.path ?? tls
  }

  get done(): Promise<JoinResult> {
    if (this.#inner !== undefined) return this.#inner.done
    this.#done ??= new Promise((resolve) => {
      this.#resolve = resolve
      if (this.#result !== undefined) resolve(this.#result)
    })
    return this.#done
  }

  destroy(): void {
    if (this.#inner === undefined) this.#giveUp('aborted')
    else this.#inner.destroy()
  }

  finish(direction: DirectionName, how: 'fin' | 'no-fin'): void {
    if (this.#options[direction]?.drive !== 'caller') {
      throw new MillraceError('ERR_OPTION', `finish: ${direction} is not driven by the caller`)
    }
    if (this.#inner === undefined) this.#finished.push([direction, how])
    else this.#inner.finish(direction, how)
  }

  #begin(inner: Join): void {
    this.#inner = inner
    if (this.#resolve !== undefined) void inner.done.then(this.#resolve)
    if (this.#ending !== undefined) inner.destroy()
    for (const [direction, how] of this.#finished) inner.finish(direction, how)
  }

  #giveUpAfter(ms: number, reason: EndReason): void {
    this.#timer = setTimeout(() => this.#giveUp(reason), Math.min(ms, 2 ** 31 - 1))
  }

  #giveUp(reason: EndReason): void {
    this.#ending ??= reason
    this.#leaving?.abandonRelease()
  }

  #arrived(): void {
    this.#leaving = undefined
    this.#tally.add('joins.now', -1)
    clearTimeout(this.#timer)
    this.#options.signal?.removeEventListener('abort', this.#abort)
  }

  /** The plain side's connection broke, or was given up, before it could be moved. */
  #lost(): void {
    const reason = this.#ending ?? 'reset'
    const result: JoinResult = {
      ...nothing,
      reason,
      durationMs: Math.round(performance.now() - this.#startedAt),
      spliced: nothing,
      path: tls,
      errno: reason === 'reset' ? 'ECONNRESET' : '',
    }
    this.#result = result
    this.#tally.joinLost(result)
    try {
      this.#options.onEnd?.(result, this)
    } finally {
      this.#resolve?.(result)
    }
  }
}

function onStreams(name: DirectionName, options: DirectionOptions | undefined): JoinOptions {
  if (options?.rate === undefined) return {}
  return { [name]: { ...options, rate: NativeRateLimit.streamOf(options.rate) } }
}
