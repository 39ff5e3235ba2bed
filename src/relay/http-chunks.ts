import type { Endpoint, Join, RateLimit } from '../dataplane/types.ts'
import { ChunkedScanner } from '../http/chunked.ts'
import type { HttpLimits } from '../http/limits.ts'
import { ChunkPace } from './chunk-pace.ts'

/** What moves a chunked body: a join whose direction aToB is driven by the caller, and its two sides. */
export interface ChunkedTransfer {
  readonly join: Join
  readonly visitor: Endpoint
  readonly proxy: Endpoint
  readonly limits: HttpLimits
  /** The direction's bandwidth, which all chunked bodies that have it share. */
  readonly rate: RateLimit | undefined
  /** True once the join has ended, so that a slowed transfer stops waiting. */
  readonly ended: () => boolean
}

/**
 * Carries one chunked body from the visitor to the proxy connection, byte by byte as it came, as long as its framing is
 * right; what follows the body goes nowhere. One read is under way at a time and waits for the write before it, so
 * memory stays at one read. Rejects when the framing is wrong, when the visitor ends inside the body, and when an
 * endpoint is gone; the caller then aborts the join.
 */
export const carryChunkedBody = async (transfer: ChunkedTransfer): Promise<void> => {
  const { join, visitor, proxy, rate } = transfer
  const scanner = new ChunkedScanner(transfer.limits)
  const pace = rate === undefined ? undefined : ChunkPace.of(rate)
  while (!scanner.done) {
    const bytes = await visitor.read(Number.POSITIVE_INFINITY)
    // Nothing of a chunk that is not complete may look like a complete body, so no FIN: the join is aborted.
    if (bytes.length === 0) throw new Error('the visitor ended inside a chunked body')
    const length = scanner.feed(bytes)
    await pace?.follow(length, transfer.ended)
    proxy.write(bytes.subarray(0, length))
    await proxy.flushed()
  }
  join.finish('aToB', 'no-fin')
}
