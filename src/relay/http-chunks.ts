import { setTimeout as delay } from 'node:timers/promises'
import type { Endpoint, Join, RateLimit } from '../dataplane/types.ts'
import { ChunkedScanner } from '../http/chunked.ts'
import type { HttpLimits } from '../http/limits.ts'

/** What moves a chunked body: a join whose direction aToB is driven by the caller, and its two sides. */
export interface ChunkedTransfer {
  readonly join: Join
  readonly visitor: Endpoint
  readonly proxy: Endpoint
  readonly limits: HttpLimits
  /** The direction's bandwidth. The data plane can't apply it here, so each transfer keeps to it for itself. */
  readonly rate: RateLimit | undefined
  /** True once the join has ended, so that a slowed transfer stops waiting. */
  readonly ended: () => boolean
}

/** Longest wait of a slowed transfer, in ms, before it looks whether the join still lives. */
const MAX_PAUSE = 1000

/**
 * Carries one chunked body from the visitor to the proxy connection, byte by byte as it came, as long as its framing is
 * right; what follows the body goes nowhere. One read is under way at a time and waits for the write before it, so
 * memory stays at one read. Rejects when the framing is wrong, when the visitor ends inside the body, and when an
 * endpoint is gone; the caller then aborts the join.
 */
export const carryChunkedBody = async (transfer: ChunkedTransfer): Promise<void> => {
  const { join, visitor, proxy, rate } = transfer
  const scanner = new ChunkedScanner(transfer.limits)
  const started = performance.now()
  let carried = 0
  while (!scanner.done) {
    const bytes = await visitor.read(Number.POSITIVE_INFINITY)
    // Nothing of a chunk that is not complete may look like a complete body, so no FIN: the join is aborted.
    if (bytes.length === 0) throw new Error('the visitor ended inside a chunked body')
    const length = scanner.feed(bytes)
    proxy.write(bytes.subarray(0, length))
    await proxy.flushed()
    carried += length
    if (rate === undefined) continue
    await pauseUntil(started + ((carried - rate.burst) / rate.bytesPerSecond) * 1000, transfer.ended)
  }
  join.finish('aToB', 'no-fin')
}

const pauseUntil = async (due: number, ended: () => boolean): Promise<void> => {
  for (let wait = due - performance.now(); wait >= 1 && !ended(); wait = due - performance.now()) {
    await delay(Math.min(wait, MAX_PAUSE), undefined, { ref: false })
  }
}
