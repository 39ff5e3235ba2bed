import { join } from 'node:path'
import type { RelaySettings } from '../config/relay-settings.ts'
import { Affinity } from './affinity.ts'
import { Reservations } from './reservations.ts'
import { ReturnQueue } from './return-queue.ts'

/** What a relay knows of addresses beyond who has which now. */
export interface Addresses {
  readonly affinity: Affinity
  readonly reservations: Reservations
  readonly returns: ReturnQueue
}

/** Empty: `affinity.load()` reads what an earlier relay knew, its reservations included. `settings` are followed. */
export function addressesOf(settings: RelaySettings): Addresses {
  const { limits } = settings
  const reservations = new Reservations({
    get graceMs() {
      return settings.nameGraceMs
    },
    limit: limits.remembered,
    byToken: !settings.open,
  })
  return {
    reservations,
    affinity: new Affinity(limits.remembered, join(settings.stateDir, 'affinity.json'), reservations),
    returns: new ReturnQueue({
      get limit() {
        return settings.limits.waiters
      },
      get timeoutMs() {
        return settings.limits.waiterTimeoutMs
      },
    }),
  }
}
