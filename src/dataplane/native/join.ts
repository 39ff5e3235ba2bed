import { MillraceError } from '../../errors.ts'
import { type JoinLimits, readDialTimeout } from '../join-options.ts'
import type {
  DataPlaneMode,
  DialTarget,
  DirectionName,
  EndReason,
  Join,
  JoinOptions,
  JoinResult,
  JoinToOptions,
  Path,
  PerDirection,
} from '../types.ts'
import { type Core, errnoName, type JoinEvents } from './core.ts'
import type { CounterCell } from './counters.ts'
import type { NativeEndpoint } from './endpoint.ts'
import { type EventReader, endReasons } from './events.ts'
import { NativeRateLimit } from './rate-limit.ts'

/** Mode in native/engine/direction.h. */
const modes: Readonly<Record<DataPlaneMode, number>> = { native: 0, copy: 1, splice: 2, stream: 1 }

/** The ends for which the system has a word. */
const worded: ReadonlySet<EndReason> = new Set(['reset', 'error', 'unreachable'])
const none: readonly NativeEndpoint[] = []
const nothing: PerDirection<bigint> = { aToB: 0n, bToA: 0n }
const tls: PerDirection<Path> = { aToB: 'tls', bToA: 'tls' }
/** The numbers of the join that is being made, in the order of JoinField in native/addon/joins.cc. */
const fields = new Float64Array(13)

/** A join that runs in the engine. */
export class NativeJoin implements Join, JoinEvents {
  readonly #core: Core
  /** Side a, by whose id the engine knows the join. */
  readonly #id: number
  readonly #options: JoinOptions
  readonly #cell: CounterCell
  /** A side speaks TLS. */
  readonly #encrypted: boolean
  /** Side a, which may have to come back, with what of it went along: side b is a visit that begins with the join. */
  #kept: NativeEndpoint | undefined
  #keptHead: Buffer | undefined
  /** The sides that the caller still uses. */
  #driven: readonly NativeEndpoint[] = none
  #abort: (() => void) | undefined
  #aborted = false
  #result: JoinResult | undefined
  #done: Promise<JoinResult> | undefined
  #resolve: ((result: JoinResult) => void) | undefined

  private constructor(core: Core, id: number, encrypted: boolean, options: JoinOptions) {
    this.#core = core
    this.#id = id
    this.#encrypted = encrypted
    this.#options = options
    this.#cell = core.cells.take()
  }

  /** Joins two endpoints. Both are usable and `limits` are those of `options`. */
  static between(
    core: Core,
    a: NativeEndpoint,
    b: NativeEndpoint,
    options: JoinOptions,
    limits: JoinLimits,
    mode: DataPlaneMode,
  ): NativeJoin {
    const join = new NativeJoin(core, a.id, a.encrypted || b.encrypted, options)
    const { aToB, bToA } = options
    const aDriven = aToB?.drive === 'caller'
    const bDriven = bToA?.drive === 'caller'
    const driven = aDriven || bDriven
    if (driven) join.#driven = [a, b]
    join.#fill(b.id, limits, mode)
    // An engine's join begins one visit at most.
    if (a.isVisit) for (const side of [a, b]) side.begin()
    const start = b.takeStart()
    const headA = a.enterJoin(driven, aDriven)
    const headB = b.enterJoin(driven, bDriven)
    const rates = [NativeRateLimit.bucketOf(aToB?.rate), NativeRateLimit.bucketOf(bToA?.rate)] as const
    if (start !== undefined) {
      join.#kept = a
      join.#keptHead = headA
    }
    core.addon.join(fields, headA, headB, ...rates, start)
    join.#follow(options.signal)
    return join
  }

  /** Joins an endpoint with an address or a unix path, once that has answered. The same holds. */
  static to(
    core: Core,
    a: NativeEndpoint,
    target: DialTarget,
    options: JoinToOptions,
    limits: JoinLimits,
    mode: DataPlaneMode,
  ): NativeJoin {
    const join = new NativeJoin(core, a.id, a.encrypted, options)
    const { aToB, bToA } = options
    join.#fill(0, limits, mode)
    a.begin()
    const headA = a.enterJoin(false, false)
    const [host, port, path] = 'path' in target ? [undefined, 0, target.path] : [target.host, target.port, undefined]
    const rates = [NativeRateLimit.bucketOf(aToB?.rate), NativeRateLimit.bucketOf(bToA?.rate)] as const
    core.endpointBorn()
    if (!core.addon.joinTo(fields, headA, ...rates, host, port, path, readDialTimeout(options))) {
      // A path that is too long, or has a NUL in it: the engine has not heard of the join.
      core.cancelJoin(fields[0] ?? 0)
      core.addon.destroy(a.id, true)
      const path: PerDirection<Path> = a.encrypted ? tls : { aToB: 'copy', bToA: 'copy' }
      const result = {
        ...nothing,
        reason: 'unreachable',
        durationMs: 0,
        spliced: nothing,
        path,
        errno: 'EINVAL',
      } as const
      process.nextTick(() => join.#end(result))
    }
    join.#follow(options.signal)
    return join
  }

  get bytes(): PerDirection<bigint> {
    return this.#result ?? this.#cell.bytes
  }

  get path(): PerDirection<Path> {
    return this.#encrypted ? tls : (this.#result?.path ?? this.#cell.path)
  }

  get done(): Promise<JoinResult> {
    this.#done ??= new Promise((resolve) => {
      this.#resolve = resolve
      if (this.#result !== undefined) resolve(this.#result)
    })
    return this.#done
  }

  destroy(): void {
    if (this.#aborted || this.#result !== undefined) return
    this.#aborted = true
    this.#core.addon.abort(this.#id)
  }

  finish(direction: DirectionName, how: 'fin' | 'no-fin'): void {
    if (this.#options[direction]?.drive !== 'caller') {
      throw new MillraceError('ERR_OPTION', `finish: ${direction} is not driven by the caller`)
    }
    if (this.#result === undefined) this.#core.addon.finish(this.#id, direction === 'aToB', how === 'fin')
  }

  onEnded(event: EventReader): void {
    const { code } = event
    const reason = endReasons[code & 0xff] ?? 'error'
    if (reason === 'unreachable') this.#kept?.comeBack(this.#keptHead)
    const aToB = event.bigValue(0)
    const bToA = event.bigValue(1)
    const spliced = { aToB: event.bigValue(2), bToA: event.bigValue(3) }
    this.#end({
      aToB,
      bToA,
      // A join that was aborted before its sides had met ends for want of one of them.
      reason: this.#aborted && reason === 'reset' ? 'aborted' : reason,
      durationMs: event.value(4),
      spliced,
      path: this.#encrypted ? tls : { aToB: mostly(spliced.aToB, aToB), bToA: mostly(spliced.bToA, bToA) },
      errno: worded.has(reason) ? errnoName(code >>> 8) : '',
    })
  }

  #fill(b: number, limits: JoinLimits, mode: DataPlaneMode): void {
    const { aToB, bToA } = this.#options
    fields[0] = this.#core.addJoin(this)
    fields[1] = this.#cell.chunk
    fields[2] = this.#cell.index
    fields[3] = this.#id
    fields[4] = b
    fields[5] = modes[mode]
    fields[6] = limits.idleMs
    fields[7] = limits.halfClosedIdleMs
    fields[8] = limits.maxDurationMs
    fields[9] = limits.stalledMs
    fields[10] = aToB?.maxBytes ?? Number.POSITIVE_INFINITY
    fields[11] = bToA?.maxBytes ?? Number.POSITIVE_INFINITY
    fields[12] = (aToB?.drive === 'caller' ? 1 : 0) + (bToA?.drive === 'caller' ? 2 : 0)
  }

  #follow(signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    if (signal.aborted) {
      this.destroy()
      return
    }
    this.#abort = () => this.destroy()
    signal.addEventListener('abort', this.#abort, { once: true })
  }

  #end(result: JoinResult): void {
    this.#result = result
    this.#core.cells.giveBack(this.#cell)
    if (this.#abort !== undefined) this.#options.signal?.removeEventListener('abort', this.#abort)
    for (const side of this.#driven) side.joinEnded()
    try {
      this.#options.onEnd?.(result, this)
    } finally {
      this.#resolve?.(result)
    }
  }
}

function mostly(spliced: bigint, all: bigint): Path {
  return spliced > 0n && spliced * 2n >= all ? 'splice' : 'copy'
}
