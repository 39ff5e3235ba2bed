import { MillraceError } from '../errors.ts'
import { defaultLimits, type RelayLimits } from '../limits/relay.ts'
import type { Logger } from '../observe/log.ts'
import { readSystemLimits } from './system-limits.ts'

/** For listeners, files, the event loop and libraries. */
const own = 128

/** The limits that take descriptors, and how many for each. */
const weights = { joins: 2, sessions: 1, handshakes: 1, pendingVisitors: 2 } as const
const counted = ['joins', 'sessions', 'handshakes', 'pendingVisitors'] as const

/** How many descriptors a relay has open at most, by its limits: each visitor takes two, each agent one. */
export function descriptorsNeeded(limits: RelayLimits): number {
  return sum(limits, counted)
}

/**
 * Looks whether the system lets the process have them; to be called once Node and the engine have raised the soft limit
 * to the hard one. Throws ERR_DESCRIPTORS when limits that the operator has set can't be met. The default ones are more
 * than many systems give: for them it warns of how many visitors there is room for.
 */
export function checkDescriptors(
  limits: RelayLimits,
  log: Logger,
  openFiles = readSystemLimits().openFiles ?? Number.POSITIVE_INFINITY,
): void {
  const needed = descriptorsNeeded(limits)
  if (needed <= openFiles) return
  const visitors = Math.max(0, Math.floor((openFiles - (needed - 2 * limits.joins)) / 2))
  const chosen = counted.filter((name) => limits[name] !== defaultLimits[name])
  // Who chose how many visitors there may be wants them beside all the rest; who left it open wants no more than was named.
  const wanted = chosen.includes('joins') ? needed : sum(limits, chosen)
  if (wanted > openFiles) {
    const names = chosen.map((name) => `limits.${snake(name)} = ${limits[name]}`).join(' and ')
    const says = `${names} take ${wanted} descriptors, and the system allows ${openFiles}: room for ${visitors} visitors`
    throw new MillraceError('ERR_DESCRIPTORS', says)
  }
  log.warn('relay.descriptors', { openFiles, needed, visitors }, 'raise them with ulimit -n or LimitNOFILE=')
}

function sum(limits: RelayLimits, names: readonly (typeof counted)[number][]): number {
  return names.reduce((total, name) => total + weights[name] * limits[name], own)
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
