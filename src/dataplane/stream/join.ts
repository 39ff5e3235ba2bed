import { MillraceError } from '../../errors.ts'
import { readJoinLimits } from '../join-options.ts'
import type { Join, JoinOptions } from '../types.ts'
import type { StreamEndpoint } from './endpoint.ts'
import { StreamJoin } from './live-join.ts'
import { StreamRateLimit } from './rate-limit.ts'
import type { StreamTally } from './tally.ts'

/**
 * Joins two endpoints on Node streams. `tally` counts it: as over before `onEnd` is called. Throws ERR_SOCKET_SAME,
 * ERR_OPTION, ERR_ENDPOINT_CLOSED, ERR_ENDPOINT_JOINED or ERR_ENDPOINT_BUSY before anything is taken.
 */
export function streamJoin(a: StreamEndpoint, b: StreamEndpoint, options: JoinOptions, tally: StreamTally): Join {
  if (a === b) throw new MillraceError('ERR_SOCKET_SAME')
  const limits = readJoinLimits(options)
  checkRates(options)
  const unusable = a.unusable() ?? b.unusable()
  if (unusable !== undefined) throw unusable
  return new StreamJoin(a, b, options, limits, tally)
}

/** Throws ERR_OPTION when a bandwidth limit is not one of streams. */
export function checkRates(options: JoinOptions): void {
  for (const rate of [options.aToB?.rate, options.bToA?.rate]) {
    if (rate !== undefined && !(rate instanceof StreamRateLimit)) {
      throw new MillraceError('ERR_OPTION', 'the rate limit belongs to another data plane')
    }
  }
}
