import type { Endpoint } from '../dataplane/types.ts'
import type { MillraceError } from '../errors.ts'
import type { StartProxy } from '../wire/messages.ts'

/** Gets what carries a visitor, or why there is nothing (ERR_POOL_FULL, ERR_POOL_TIMEOUT, ERR_POOL_CLOSED). */
export type OnCarrier = (carrier: Endpoint | MillraceError) => void

/** What a visitor needs of whatever serves it. */
export interface Passenger {
  /** Its bytes may travel unencrypted. */
  readonly plainAllowed: boolean
  /** Whose visitor it is: asked for when there is a carrier, and the same for each that it gets. */
  start(): StartProxy
}

/** So many carriers a visitor gets at most: each of the others was lost before it took anything of the visitor. */
export const maxCarriers = 3

/** A visitor that waits for a carrier. */
export interface Waiter {
  readonly onCarrier: OnCarrier
  readonly passenger: Passenger
  /** By `performance.now()`, ms. */
  readonly deadline: number
}

/**
 * Whatever serves the visitors of an agent. Fronts and tunnels know no more of it than this: whether a carrier is a
 * proxy connection that serves one visitor, or one that comes back when the join has ended, is its own affair.
 */
export interface Carriers {
  /**
   * Gets a visitor a carrier: an endpoint that the agent has been told on whose visitor it carries, ready to be joined,
   * and from then on the caller's. `onCarrier` is called once: within this call if one is there, so that pick,
   * announcement and join are one turn of the loop; else visitors get theirs in the order in which they came, each by a
   * deadline. Returns the waiter, for {@link cancel}, or undefined when nothing is awaited.
   */
  carry(passenger: Passenger, onCarrier: OnCarrier): Waiter | undefined
  /** The visitor went away: its `onCarrier` won't be called any more. */
  cancel(waiter: Waiter): void
}
