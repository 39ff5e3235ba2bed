import { MillraceError } from '../../errors.ts'
import { type JoinLimits, readJoinLimits } from '../join-options.ts'
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
import type { DirectionOwner } from './direction.ts'
import { DrivenDirection } from './driven-direction.ts'
import type { StreamEndpoint } from './endpoint.ts'
import type { Port, PortWatcher } from './port.ts'
import { Pump } from './pump.ts'
import { StreamRateLimit } from './rate-limit.ts'
import { clearDeadline, now, setDeadline, type Timed } from './wheel.ts'

/** After a peer's reset: the time for what it sent before to reach the other side's kernel, ms. */
const flushMs = 5_000
/**
 * And then the time for the kernel to send it on, ms. Node does not say when a send queue is empty (SIOCOUTQ), and RST
 * destroys what is in it; a peer that reads slowly may lose its tail here, which the native data plane avoids.
 */
const graceMs = 100

/** How often a source that is not being read is looked at, ms. */
const probeMs = 1_000

const none: DirectionOptions = {}

/**
 * Joins two endpoints on Node streams. `onOver` is called when the join is over, before `onEnd`. Throws ERR_SOCKET_SAME,
 * ERR_OPTION, ERR_ENDPOINT_CLOSED, ERR_ENDPOINT_JOINED or ERR_ENDPOINT_BUSY before anything is taken.
 *
 * A TLS peer that ends without close_notify counts as one that ended well: `node:tls` reports both as 'end' and has no
 * way to tell them apart, so the reason `truncated` does not occur here.
 */
export function streamJoin(
  a: StreamEndpoint,
  b: StreamEndpoint,
  options: JoinOptions = {},
  onOver: () => void = () => {},
): Join {
  if (a === b) throw new MillraceError('ERR_SOCKET_SAME')
  const limits = readJoinLimits(options)
  for (const rate of [options.aToB?.rate, options.bToA?.rate]) {
    if (rate !== undefined && !(rate instanceof StreamRateLimit)) {
      throw new MillraceError('ERR_OPTION', 'the rate limit belongs to another data plane')
    }
  }
  const unusable = a.unusable() ?? b.unusable()
  if (unusable !== undefined) throw unusable
  return new StreamJoin(a, b, options, limits, onOver)
}

class StreamJoin implements Join, DirectionOwner, PortWatcher, Timed {
  readonly path: PerDirection<Path>
  wheelSlot = 0
  readonly #a: StreamEndpoint
  readonly #b: StreamEndpoint
  readonly #aToB: Pump | DrivenDirection
  readonly #bToA: Pump | DrivenDirection
  readonly #limits: JoinLimits
  readonly #signal: AbortSignal | undefined
  readonly #onEnd: ((result: JoinResult) => void) | undefined
  readonly #onOver: () => void
  readonly #startedAt = now()
  readonly #abort = (): void => this.destroy()
  /** `flushing`, then `grace`: a peer has failed, and the other side gets what came before. */
  #phase: 'open' | 'flushing' | 'grace' | 'over' = 'open'
  #reason: EndReason = 'eof'
  #errno = ''
  #finAt: number | undefined
  /** A source is paused or has ended: somebody has to look whether it was reset. */
  #probing = false
  #lostAt: number | undefined
  /** The direction from the side that failed. */
  #out: Pump | DrivenDirection | undefined
  #result: JoinResult | undefined
  #done: Promise<JoinResult> | undefined
  #resolve: ((result: JoinResult) => void) | undefined

  constructor(a: StreamEndpoint, b: StreamEndpoint, options: JoinOptions, limits: JoinLimits, onOver: () => void) {
    this.#a = a
    this.#b = b
    this.#limits = limits
    this.#onOver = onOver
    this.#onEnd = options.onEnd
    this.#signal = options.signal
    const path: Path = a.encrypted || b.encrypted ? 'tls' : 'stream'
    this.path = { aToB: path, bToA: path }
    const aDriven = options.aToB?.drive === 'caller'
    const bDriven = options.bToA?.drive === 'caller'
    const fromA = a.release(aDriven, bDriven)
    const fromB = b.release(bDriven, aDriven)
    this.#aToB = this.#direction(a, b, fromA.port, fromB.port, options.aToB)
    this.#bToA = this.#direction(b, a, fromB.port, fromA.port, options.bToA)
    fromA.port.watcher = fromB.port.watcher = this
    this.#signal?.addEventListener('abort', this.#abort, { once: true })
    this.#aToB.start(fromA.unread)
    this.#bToA.start(fromB.unread)
    this.#schedule()
    const gone = [fromA.port, fromB.port].find((port) => port.gone)
    if (gone !== undefined) process.nextTick(() => this.onFailed(gone.failure ?? '', gone))
    if (this.#signal?.aborted === true) process.nextTick(this.#abort)
  }

  get bytes(): PerDirection<bigint> {
    return this.#result ?? { aToB: BigInt(this.#aToB.count), bToA: BigInt(this.#bToA.count) }
  }

  get done(): Promise<JoinResult> {
    this.#done ??= new Promise((resolve) => {
      this.#resolve = resolve
      if (this.#result !== undefined) resolve(this.#result)
    })
    return this.#done
  }

  destroy(): void {
    this.#over('aborted')
  }

  finish(direction: DirectionName, how: 'fin' | 'no-fin'): void {
    const driven = direction === 'aToB' ? this.#aToB : this.#bToA
    if (!(driven instanceof DrivenDirection)) {
      throw new MillraceError('ERR_OPTION', `finish: ${direction} is not driven by the caller`)
    }
    driven.finish(how)
  }

  onFin(): void {
    this.#finAt ??= now()
    this.#probing = true
    if (this.#phase === 'open') this.#schedule()
  }

  onPaused(): void {
    if (this.#probing) return
    this.#probing = true
    this.#schedule()
  }

  onEnded(): void {
    if (this.#phase === 'open' && this.#aToB.ended && this.#bToA.ended) this.#over('eof')
  }

  onFailed(errno: string, port: Port): void {
    if (this.#phase !== 'open') {
      // The other side has gone as well: nobody is left to deliver anything to.
      this.#over(this.#reason)
      return
    }
    this.#phase = 'flushing'
    this.#reason = reasonOf(errno)
    this.#errno = this.#reason === 'aborted' ? '' : errno
    const [out, back] = port === this.#aToB.source ? [this.#aToB, this.#bToA] : [this.#bToA, this.#aToB]
    this.#out = out
    back.stop()
    if (out instanceof DrivenDirection) (port === this.#aToB.source ? this.#a : this.#b).onFailed()
    setDeadline(this, flushMs)
    out.sourceGone()
  }

  onFlushed(): void {
    if (this.#phase !== 'flushing' || this.#out === undefined) return
    this.#phase = 'grace'
    setDeadline(this, graceMs - (now() - this.#out.movedAt))
  }

  onDue(time: number): void {
    if (this.#phase !== 'open') {
      this.#over(this.#reason)
      return
    }
    const reason = this.#probe(time) ?? this.#limitReached(time)
    if (reason === undefined) this.#schedule()
    else this.#over(reason)
  }

  #direction(
    from: StreamEndpoint,
    to: StreamEndpoint,
    source: Port,
    sink: Port,
    options: DirectionOptions = none,
  ): Pump | DrivenDirection {
    if (options.drive === 'caller') return new DrivenDirection(source, sink, this, from, to)
    return new Pump(source, sink, this, options, options.rate instanceof StreamRateLimit ? options.rate : undefined)
  }

  /** Looks for resets that Node does not see. What came before them has the usual time to get out. */
  #probe(time: number): EndReason | undefined {
    const unwatched = [this.#aToB, this.#bToA].filter(({ source, paused }) => paused || source.ended)
    this.#probing = unwatched.length > 0
    if (!unwatched.some(({ source }) => source.lost)) return undefined
    this.#lostAt ??= time
    const flushing = unwatched.some(({ source, ended }) => source.lost && !ended)
    if (flushing && time - this.#lostAt < flushMs) return undefined
    this.#errno = 'ECONNRESET'
    return 'reset'
  }

  #limitReached(time: number): EndReason | undefined {
    const { idleMs, halfClosedIdleMs, maxDurationMs, stalledMs } = this.#limits
    const movedAt = Math.max(this.#aToB.movedAt, this.#bToA.movedAt)
    if (maxDurationMs > 0 && time - this.#startedAt >= maxDurationMs) return 'limit'
    if (idleMs > 0 && time - movedAt >= idleMs) return 'idle'
    if (halfClosedIdleMs > 0 && this.#finAt !== undefined) {
      if (time - Math.max(movedAt, this.#finAt) >= halfClosedIdleMs) return 'half-closed-idle'
    }
    const stalled = Math.max(this.#aToB.stalledFor(time), this.#bToA.stalledFor(time))
    return stalledMs > 0 && stalled >= stalledMs ? 'stalled' : undefined
  }

  /** Looks again when the next limit may run out. A stall is noticed up to a quarter of its limit late. */
  #schedule(): void {
    if (this.#phase !== 'open') return
    const { idleMs, halfClosedIdleMs, maxDurationMs, stalledMs } = this.#limits
    const time = now()
    const movedAt = Math.max(this.#aToB.movedAt, this.#bToA.movedAt)
    let next = Number.POSITIVE_INFINITY
    if (maxDurationMs > 0) next = this.#startedAt + maxDurationMs
    if (idleMs > 0) next = Math.min(next, movedAt + idleMs)
    if (halfClosedIdleMs > 0 && this.#finAt !== undefined) {
      next = Math.min(next, Math.max(movedAt, this.#finAt) + halfClosedIdleMs)
    }
    if (this.#probing) next = Math.min(next, time + probeMs)
    if (stalledMs > 0) next = Math.min(next, time + stalledMs / 4)
    if (next !== Number.POSITIVE_INFINITY) setDeadline(this, next - time)
  }

  #over(reason: EndReason): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    clearDeadline(this)
    this.#signal?.removeEventListener('abort', this.#abort)
    const ports = [this.#aToB.source, this.#bToA.source]
    for (const port of ports) {
      if (reason === 'eof') port.linger()
      else port.reset()
    }
    this.#result = {
      aToB: BigInt(this.#aToB.count),
      bToA: BigInt(this.#bToA.count),
      reason,
      durationMs: Math.round(now() - this.#startedAt),
      spliced: { aToB: 0n, bToA: 0n },
      path: this.path,
      errno: this.#errno,
    }
    this.#aToB.stop()
    this.#bToA.stop()
    this.#a.joinEnded()
    this.#b.joinEnded()
    this.#onOver()
    process.nextTick(report, this.#result, this.#onEnd, this.#resolve)
  }
}

function report(
  result: JoinResult,
  onEnd: ((result: JoinResult) => void) | undefined,
  resolve: ((result: JoinResult) => void) | undefined,
): void {
  try {
    onEnd?.(result)
  } finally {
    resolve?.(result)
  }
}

function reasonOf(errno: string): EndReason {
  if (errno === '') return 'aborted'
  return errno === 'ECONNRESET' || errno === 'EPIPE' || errno === 'ECONNABORTED' ? 'reset' : 'error'
}
