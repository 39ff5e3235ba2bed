import type { JoinLimits } from '../join-options.ts'
import type { EndReason } from '../types.ts'
import { truncatedCode } from './port-roles.ts'

/** What the limits of a join look at; times in ms of the wheel's clock. */
export interface Progress {
  readonly startedAt: number
  /** When a byte moved last. */
  readonly movedAt: number
  /** When the first FIN was seen. */
  readonly finAt: number | undefined
  /** How long bytes have been waiting for a sink that takes none, ms. */
  readonly stalledFor: number
}

/** Which limit of a join has run out by `time`, if one has. */
export function limitReached(limits: JoinLimits, progress: Progress, time: number): EndReason | undefined {
  const { startedAt, movedAt, finAt, stalledFor } = progress
  const { idleMs, halfClosedIdleMs, maxDurationMs, stalledMs } = limits
  if (maxDurationMs > 0 && time - startedAt >= maxDurationMs) return 'limit'
  if (stalledMs > 0 && stalledFor >= stalledMs) return 'stalled'
  if (idleMs > 0 && time - movedAt >= idleMs) return 'idle'
  const halfClosed = halfClosedIdleMs > 0 && finAt !== undefined && time - Math.max(movedAt, finAt) >= halfClosedIdleMs
  return halfClosed ? 'half-closed-idle' : undefined
}

/** After how many ms to look at the limits again; Infinity when none is set. A stall is noticed a quarter late. */
export function nextLook(limits: JoinLimits, progress: Progress, time: number): number {
  const { startedAt, movedAt, finAt } = progress
  const { idleMs, halfClosedIdleMs, maxDurationMs, stalledMs } = limits
  let next = Number.POSITIVE_INFINITY
  if (maxDurationMs > 0) next = startedAt + maxDurationMs
  if (idleMs > 0) next = Math.min(next, movedAt + idleMs)
  if (halfClosedIdleMs > 0 && finAt !== undefined) next = Math.min(next, Math.max(movedAt, finAt) + halfClosedIdleMs)
  if (stalledMs > 0) next = Math.min(next, time + stalledMs / 4)
  return next - time
}

/** What a failed connection means for its join. `errno` '' is a socket that somebody else destroyed. */
export function reasonOf(errno: string): EndReason {
  if (errno === '') return 'aborted'
  if (errno === truncatedCode) return 'truncated'
  return errno === 'ECONNRESET' || errno === 'EPIPE' || errno === 'ECONNABORTED' ? 'reset' : 'error'
}
