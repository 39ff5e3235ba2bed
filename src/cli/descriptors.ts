import { MillraceError } from '../errors.ts'
import { defaultLimits, type RelayLimits } from '../limits/relay.ts'
import type { Logger } from '../observe/log.ts'
import { readSystemLimits } from './system-limits.ts'

/** For listeners, files, the event loop and libraries. */
const own = 128

/** How many descriptors a relay has open at most, by its limits: each visitor takes two, each agent one. */
export function descriptorsNeeded({ joins, sessions, handshakes, pendingVisitors }: RelayLimits): number {
  return 2 * joins + sessions + handshakes + 2 * pendingVisitors + own
}

/**
 * Looks whether the system lets the process have them; to be called once Node and the engine have raised the soft limit
 * to the hard one. Throws ERR_DESCRIPTORS when limits that the operator has set can't be met; for the default ones it logs
 * what can.
 */
export function checkDescriptors(
  limits: RelayLimits,
  log: Logger,
  openFiles = readSystemLimits().openFiles ?? Number.POSITIVE_INFINITY,
): void {
  const needed = descriptorsNeeded(limits)
  if (needed <= openFiles) return
  const visitors = Math.max(0, Math.floor((openFiles - (needed - 2 * limits.joins)) / 2))
  const chosen = limits.joins !== defaultLimits.joins || limits.sessions !== defaultLimits.sessions
  const says = `limits.joins = ${limits.joins} and limits.sessions = ${limits.sessions} take ${needed} descriptors, and the system allows ${openFiles}: room for ${visitors} visitors`
  if (chosen) throw new MillraceError('ERR_DESCRIPTORS', says)
  log.info('relay.descriptors', { openFiles, needed, visitors }, 'raise them with ulimit -n or LimitNOFILE=')
}
