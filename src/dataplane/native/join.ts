import { MillraceError } from '../../errors.ts'
import type { JoinLimits } from '../join-options.ts'
import type { DataPlaneMode, DirectionName, Join, JoinOptions, JoinResult, Path, PerDirection } from '../types.ts'
import type { Core, JoinEnd } from './core.ts'
import { errnoName } from './core.ts'
import type { CounterCell } from './counters.ts'
import type { NativeEndpoint } from './endpoint.ts'
import { endReasons } from './events.ts'
import { NativeRateLimit } from './rate-limit.ts'

/** Mode in native/engine/direction.h. */
const modes: Readonly<Record<DataPlaneMode, number>> = { native: 0, copy: 1, splice: 2, stream: 1 }

/** A join that runs in the engine. */
export class NativeJoin implements Join {
  readonly #core: Core
  readonly #a: NativeEndpoint
  readonly #b: NativeEndpoint
  readonly #options: JoinOptions
  readonly #cell: CounterCell
  readonly #abort = (): void => this.destroy()
  #aborted = false
  #result: JoinResult | undefined
  #done: Promise<JoinResult> | undefined
  #resolve: ((result: JoinResult) => void) | undefined

  /** Both endpoints are usable and `limits` are those of `options`. */
  constructor(
    core: Core,
    a: NativeEndpoint,
    b: NativeEndpoint,
    options: JoinOptions,
    limits: JoinLimits,
    mode: DataPlaneMode,
  ) {
    this.#core = core
    this.#a = a
    this.#b = b
    this.#options = options
    this.#cell = core.cells.take()
    const { aToB, bToA } = options
    const aDriven = aToB?.drive === 'caller'
    const bDriven = bToA?.drive === 'caller'
    const token = core.addJoin((end) => this.#end(end))
    const headA = a.enterJoin(aDriven || bDriven, aDriven)
    const headB = b.enterJoin(aDriven || bDriven, bDriven)
    // The order is JoinField's in native/addon/addon.cc.
    const fields = Float64Array.of(
      token,
      this.#cell.chunk,
      this.#cell.index,
      a.id,
      b.id,
      modes[mode],
      limits.idleMs,
      limits.halfClosedIdleMs,
      limits.maxDurationMs,
      limits.stalledMs,
      aToB?.maxBytes ?? Number.POSITIVE_INFINITY,
      bToA?.maxBytes ?? Number.POSITIVE_INFINITY,
      (aDriven ? 1 : 0) + (bDriven ? 2 : 0),
    )
    core.addon.join(fields, headA, headB, NativeRateLimit.bucketOf(aToB?.rate), NativeRateLimit.bucketOf(bToA?.rate))
    const { signal } = options
    if (signal?.aborted === true) this.destroy()
    else signal?.addEventListener('abort', this.#abort, { once: true })
  }

  get bytes(): PerDirection<bigint> {
    return this.#result ?? this.#cell.bytes
  }

  get path(): PerDirection<Path> {
    return this.#result?.path ?? this.#cell.path
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
    this.#core.addon.abort(this.#a.id)
  }

  finish(direction: DirectionName, how: 'fin' | 'no-fin'): void {
    if (this.#options[direction]?.drive !== 'caller') {
      throw new MillraceError('ERR_OPTION', `finish: ${direction} is not driven by the caller`)
    }
    if (this.#result === undefined) this.#core.addon.finish(this.#a.id, direction === 'aToB', how === 'fin')
  }

  #end(end: JoinEnd): void {
    const { aToB, bToA, splicedAToB, splicedBToA, durationMs } = end
    const reason = endReasons[end.code & 0xff] ?? 'error'
    this.#result = {
      aToB,
      bToA,
      // A join that was aborted before its sides had met ends for want of one of them.
      reason: this.#aborted && reason === 'reset' ? 'aborted' : reason,
      durationMs,
      spliced: { aToB: splicedAToB, bToA: splicedBToA },
      path: { aToB: mostly(splicedAToB, aToB), bToA: mostly(splicedBToA, bToA) },
      errno: reason === 'reset' || reason === 'error' ? errnoName(end.code >>> 8) : '',
    }
    this.#core.cells.giveBack(this.#cell)
    this.#options.signal?.removeEventListener('abort', this.#abort)
    this.#a.joinEnded()
    this.#b.joinEnded()
    const result = this.#result
    try {
      this.#options.onEnd?.(result)
    } finally {
      this.#resolve?.(result)
    }
  }
}

function mostly(spliced: bigint, all: bigint): Path {
  return spliced > 0n && spliced * 2n >= all ? 'splice' : 'copy'
}
