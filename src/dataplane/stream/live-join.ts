import { MillraceError } from '../../errors.ts'
import type { JoinLimits } from '../join-options.ts'
import type { DirectionName, EndReason, Join, JoinOptions, JoinResult, Path, PerDirection } from '../types.ts'
import type { DirectionOwner } from './direction.ts'
import { DrivenDirection } from './driven-direction.ts'
import type { StreamEndpoint } from './endpoint.ts'
import { limitReached, nextLook, type Progress, reasonOf } from './join-limits.ts'
import { callerPart, makeDirection } from './make-direction.ts'
import type { Port } from './port.ts'
import type { PortWatcher } from './port-roles.ts'
import type { Pump } from './pump.ts'
import type { StreamTally } from './tally.ts'
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

/** Ends that come from a connection, as a lane's peer is told. */
const failures: ReadonlySet<EndReason> = new Set(['reset', 'truncated', 'error'])

/** A live join of two endpoints that are free to be taken, with checked options; made by `streamJoin`. */
export class StreamJoin implements Join, DirectionOwner, PortWatcher, Timed {
  readonly path: PerDirection<Path>
  wheelSlot = 0
  readonly #a: StreamEndpoint
  readonly #b: StreamEndpoint
  readonly #aToB: Pump | DrivenDirection
  readonly #bToA: Pump | DrivenDirection
  readonly #limits: JoinLimits
  readonly #signal: AbortSignal | undefined
  readonly #options: JoinOptions
  readonly #tally: StreamTally
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
  #grace: NodeJS.Timeout | undefined
  /** Side a is the caller's again. */
  #kept = false
  #result: JoinResult | undefined
  #reported = false
  #done: Promise<JoinResult> | undefined
  #resolve: ((result: JoinResult) => void) | undefined

  constructor(a: StreamEndpoint, b: StreamEndpoint, options: JoinOptions, limits: JoinLimits, tally: StreamTally) {
    this.#a = a
    this.#b = b
    this.#limits = limits
    this.#tally = tally
    this.#options = options
    this.#signal = options.signal
    const path: Path = a.encrypted || b.encrypted ? 'tls' : 'stream'
    this.path = { aToB: path, bToA: path }
    const overflow = (): void => this.#over('error', 'ENOBUFS')
    const fromA = a.release(callerPart(options.aToB, options.bToA, overflow))
    const fromB = b.release(callerPart(options.bToA, options.aToB, overflow))
    this.#aToB = makeDirection(this, a, b, fromA.port, fromB.port, options.aToB)
    this.#bToA = makeDirection(this, b, a, fromB.port, fromA.port, options.bToA)
    fromA.port.watcher = fromB.port.watcher = this
    this.#signal?.addEventListener('abort', this.#abort, { once: true })
    tally.joinBegun(this)
    this.#aToB.start(fromA.unread)
    this.#bToA.start(fromB.unread)
    this.#schedule()
    if (fromA.port.gone || fromB.port.gone) process.nextTick(() => this.#startGone())
    if (this.#signal?.aborted === true) process.nextTick(this.#abort)
  }

  get bytes(): PerDirection<bigint> {
    return {
      aToB: this.#result?.aToB ?? BigInt(this.#aToB.count),
      bToA: this.#result?.bToA ?? BigInt(this.#bToA.count),
    }
  }

  get done(): Promise<JoinResult> {
    this.#done ??= new Promise((resolve) => {
      this.#resolve = resolve
      if (this.#reported && this.#result !== undefined) resolve(this.#result)
    })
    return this.#done
  }

  destroy(): void {
    this.#over('aborted', '')
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
    if (this.#phase !== 'open' || !this.#aToB.ended || !this.#bToA.ended) return
    const truncated = this.#aToB.source.truncated || this.#bToA.source.truncated
    this.#over(truncated ? 'truncated' : 'eof')
  }

  onFailed(errno: string, port: Port): void {
    if (this.#phase !== 'open') {
      // The other side has gone as well: nobody is left to deliver anything to.
      this.#over(this.#reason)
      return
    }
    if (port === this.#bToA.source && this.#keepA(errno)) return
    this.#phase = 'flushing'
    this.#reason = reasonOf(errno)
    this.#errno = this.#reason === 'aborted' || this.#reason === 'truncated' ? '' : errno
    const [out, back] = port === this.#aToB.source ? [this.#aToB, this.#bToA] : [this.#bToA, this.#aToB]
    this.#out = out
    back.stop()
    for (const endpoint of [this.#a, this.#b]) endpoint.joinFailed()
    setDeadline(this, flushMs)
    out.sourceGone()
  }

  onFlushed(): void {
    if (this.#phase !== 'flushing' || this.#out === undefined) return
    this.#phase = 'grace'
    clearDeadline(this)
    // Unlike the wheel's, this timer keeps the process alive: nothing is read any more, and the RST is still owed.
    const ms = this.#out.sink.isVisit ? 0 : graceMs
    this.#grace = setTimeout(() => this.#over(this.#reason), Math.max(0, ms - (now() - this.#out.movedAt)))
  }

  onDue(time: number): void {
    if (this.#phase !== 'open') {
      this.#over(this.#reason)
      return
    }
    if (this.#probe(time)) {
      this.#over('reset', 'ECONNRESET')
      return
    }
    const reason = limitReached(this.#limits, this.#progress(time), time)
    if (reason === undefined) this.#schedule()
    else this.#over(reason)
  }

  /** An endpoint was gone before the join; unless its 'error' has just told us. */
  #startGone(): void {
    const gone = [this.#aToB.source, this.#bToA.source].find((port) => port.gone)
    if (gone !== undefined && this.#phase === 'open') this.onFailed(gone.failure ?? '', gone)
  }

  /** Side b's lane was lost: if nothing was handed to either side, a is the caller's again. */
  #keepA(errno: string): boolean {
    const a = this.#aToB.source
    if (this.#bToA instanceof DrivenDirection || !this.#bToA.untouched || a.gone) return false
    const taken = this.#aToB.takeBack()
    if (taken === undefined) return false
    this.#kept = true
    this.#over('unreachable', errno)
    this.#a.takeBack(taken)
    return true
  }

  /** Looks for resets that Node does not see. What came before them has the usual time to get out. */
  #probe(time: number): boolean {
    const unwatched = [this.#aToB, this.#bToA].filter(({ source, paused }) => paused || source.ended)
    this.#probing = unwatched.length > 0
    const lost = unwatched.filter(({ source }) => source.lost)
    if (lost.length === 0) return false
    this.#lostAt ??= time
    return lost.every(({ ended, movedAt }) => ended && time - movedAt >= graceMs) || time - this.#lostAt >= flushMs
  }

  #schedule(): void {
    if (this.#phase !== 'open') return
    const time = now()
    const next = nextLook(this.#limits, this.#progress(time), time)
    const ms = this.#probing ? Math.min(next, probeMs) : next
    if (ms !== Number.POSITIVE_INFINITY) setDeadline(this, ms)
  }

  #progress(time: number): Progress {
    return {
      startedAt: this.#startedAt,
      movedAt: Math.max(this.#aToB.movedAt, this.#bToA.movedAt),
      finAt: this.#finAt,
      stalledFor: Math.max(this.#aToB.stalledFor(time), this.#bToA.stalledFor(time)),
    }
  }

  #over(reason: EndReason, errno = this.#errno): void {
    if (this.#phase === 'over') return
    const orderly = reason === 'eof' || (reason === 'truncated' && this.#phase === 'open')
    this.#phase = 'over'
    clearDeadline(this)
    clearTimeout(this.#grace)
    this.#signal?.removeEventListener('abort', this.#abort)
    const ports = this.#kept ? [this.#bToA.source] : [this.#aToB.source, this.#bToA.source]
    for (const port of ports) {
      if (orderly) port.linger()
      else port.reset(failures.has(reason) ? 'connection' : 'given-up')
    }
    this.#result = {
      aToB: BigInt(this.#aToB.count),
      bToA: BigInt(this.#bToA.count),
      reason,
      durationMs: Math.round(now() - this.#startedAt),
      spliced: { aToB: 0n, bToA: 0n },
      path: this.path,
      errno,
    }
    this.#aToB.stop()
    this.#bToA.stop()
    if (!this.#kept) this.#a.joinEnded()
    this.#b.joinEnded()
    this.#tally.joinOver(this, this.#result)
    process.nextTick(() => this.#report())
  }

  /** In a later turn, so that nobody is called from within a call of theirs. */
  #report(): void {
    if (this.#result === undefined) return
    this.#reported = true
    try {
      this.#options.onEnd?.(this.#result, this)
    } finally {
      this.#resolve?.(this.#result)
      // A side that was kept may be in another join by now.
      if (!this.#kept) this.#a.joinReported()
      this.#b.joinReported()
    }
  }
}
