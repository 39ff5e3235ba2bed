import type { JoinResult } from '../dataplane/types.ts'
import type { Logger } from './log.ts'

/** What {@link logJoinEnd} needs to know of a join that ended. */
export interface EndedJoin {
  /** The tunnel's public address, as announced. */
  readonly url: string
  readonly result: JoinResult
  /** Which endpoint of the join led to the visitor. */
  readonly visitorSide: 'a' | 'b'
}

/**
 * Writes the one `join.end` line of a join. `in` is visitor → service, `out` the way back; bytes are numbers, exact up
 * to 2^53, heads included.
 */
export function logJoinEnd(log: Logger, { url, result, visitorSide }: EndedJoin): void {
  const into = visitorSide === 'a' ? 'aToB' : 'bToA'
  const out = visitorSide === 'a' ? 'bToA' : 'aToB'
  log.info('join.end', {
    url,
    bytesIn: Number(result[into]),
    bytesOut: Number(result[out]),
    pathIn: result.path[into],
    pathOut: result.path[out],
    splicedIn: Number(result.spliced[into]),
    splicedOut: Number(result.spliced[out]),
    durationMs: Math.round(result.durationMs),
    reason: result.reason,
  })
}
