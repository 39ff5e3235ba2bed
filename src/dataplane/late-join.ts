import { MillraceError } from '../errors.ts'
import type { Endpoint, EndReason, Join, JoinResult, JoinToOptions, Path, PerDirection } from './types.ts'

/** What a join that waits for its second side needs of its first. */
export interface HeldSide {
  /** From now on it counts as joined, and what the caller asks of it waits. */
  hold(): void
  /** Ends that; what has waited is to be run once the join has begun, or has failed. */
  letGo(): { run(): void } | undefined
  /** `why`: what a visit's peer is told. */
  destroy(how: 'reset', why: 'unreachable' | 'given-up'): void
}

/** How a {@link LateJoin} gets its second side, and begins. */
export interface LateSide {
  dial(signal: AbortSignal): Promise<Endpoint>
  /** `options` are the join's own, with an `onEnd` that names the late join. */
  begin(b: Endpoint, options: JoinToOptions): Join
  /** The path that is shown while there is none. */
  readonly path: Path
  /** Told of the result of a join that could not begin, before `onEnd`. */
  onLost(result: JoinResult): void
}

const nothing: PerDirection<bigint> = { aToB: 0n, bToA: 0n }

/** A join whose side b is being dialed by the control plane: where names must be resolved, and on streams. */
export class LateJoin implements Join {
  readonly #a: HeldSide
  readonly #late: LateSide
  readonly #options: JoinToOptions
  readonly #startedAt = performance.now()
  readonly #dialing = new AbortController()
  readonly #abort = (): void => this.destroy()
  #inner: Join | undefined
  #result: JoinResult | undefined
  #done: Promise<JoinResult> | undefined
  #resolve: ((result: JoinResult) => void) | undefined

  constructor(a: HeldSide, late: LateSide, options: JoinToOptions) {
    this.#a = a
    this.#late = late
    this.#options = options
    a.hold()
    late.dial(this.#dialing.signal).then(
      (b) => this.#connected(b),
      (error: unknown) => this.#fail(error),
    )
    if (options.signal?.aborted === true) this.destroy()
    else options.signal?.addEventListener('abort', this.#abort, { once: true })
  }

  get bytes(): PerDirection<bigint> {
    return this.#inner?.bytes ?? nothing
  }

  get path(): PerDirection<Path> {
    return this.#inner?.path ?? { aToB: this.#late.path, bToA: this.#late.path }
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
    if (this.#inner === undefined) this.#dialing.abort()
    else this.#inner.destroy()
  }

  finish(): void {
    throw new MillraceError('ERR_OPTION', 'finish: no direction is driven by the caller')
  }

  #connected(b: Endpoint): void {
    const held = this.#a.letGo()
    this.#options.signal?.removeEventListener('abort', this.#abort)
    try {
      const own = this.#options
      const onEnd = (result: JoinResult): void => own.onEnd?.(result, this)
      this.#inner = this.#late.begin(b, own.onEnd === undefined ? own : { ...own, onEnd })
    } catch (error) {
      // Side a was closed on the way here.
      b.destroy('reset')
      this.#lost('reset', codeOf(error))
      held?.run()
      return
    }
    if (this.#dialing.signal.aborted) this.#inner.destroy()
    held?.run()
    if (this.#resolve !== undefined) void this.#inner.done.then(this.#resolve)
  }

  #fail(error: unknown): void {
    const held = this.#a.letGo()
    this.#options.signal?.removeEventListener('abort', this.#abort)
    this.#a.destroy('reset', this.#dialing.signal.aborted ? 'given-up' : 'unreachable')
    held?.run()
    if (this.#dialing.signal.aborted) this.#lost('aborted', '')
    else this.#lost('unreachable', codeOf(error))
  }

  #lost(reason: EndReason, errno: string): void {
    const path = { aToB: this.#late.path, bToA: this.#late.path }
    const result: JoinResult = {
      ...nothing,
      reason,
      durationMs: Math.round(performance.now() - this.#startedAt),
      spliced: nothing,
      path,
      errno,
    }
    this.#result = result
    this.#late.onLost(result)
    try {
      this.#options.onEnd?.(result, this)
    } finally {
      this.#resolve?.(result)
    }
  }
}

/** What the system, or the resolver, said. */
function codeOf(error: unknown): string {
  if (!(error instanceof MillraceError)) return ''
  if (error.code === 'ERR_DIAL_TIMEOUT') return 'ETIMEDOUT'
  const cause: unknown = error.cause
  const code: unknown = typeof cause === 'object' && cause !== null ? Reflect.get(cause, 'code') : undefined
  return typeof code === 'string' ? code : ''
}
