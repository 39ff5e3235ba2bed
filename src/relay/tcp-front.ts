import type { DataPlane, Endpoint, Join, JoinResult } from '../dataplane/types.ts'
import { type ErrorCode, MillraceError } from '../errors.ts'
import { formatAddress } from '../net/address.ts'
import { logJoinEnd } from '../observe/join-log.ts'
import type { Logger } from '../observe/log.ts'
import type { Refusals } from '../observe/refusals.ts'
import { maxCarriers, type Passenger, type Waiter } from './carriers.ts'
import type { JoinBook } from './join-book.ts'
import { originOf } from './origin.ts'
import type { Tunnel } from './tunnel.ts'

/** What the front works with. */
export interface TcpFrontOptions {
  readonly dataPlane: DataPlane
  readonly joins: JoinBook
  readonly log: Logger
  readonly refusals: Refusals
}

/** A visitor on its way to its agent. */
interface Trip {
  readonly tunnel: Tunnel
  readonly visitor: Endpoint
  readonly passenger: Passenger
  /** How many carriers it has had. */
  carriers: number
}

/** Brings visitors of TCP tunnels together with their agent. */
export class TcpFront {
  readonly #dataPlane: DataPlane
  readonly #joins: JoinBook
  readonly #log: Logger
  readonly #refusals: Refusals

  constructor({ dataPlane, joins, log, refusals }: TcpFrontOptions) {
    this.#dataPlane = dataPlane
    this.#joins = joins
    this.#log = log
    this.#refusals = refusals
  }

  /** Takes a visitor over. One for whom there is no proxy connection is reset: raw TCP has no other way to say it. */
  serve(tunnel: Tunnel, visitor: Endpoint): void {
    if (!tunnel.welcomes(visitor)) {
      visitor.destroy('reset')
      this.#refused(tunnel, visitor, 'ERR_TUNNEL_DENIED')
      return
    }
    const trip: Trip = { tunnel, visitor, passenger: tunnel.passenger(visitor), carriers: 0 }
    const waiter = tunnel.admit(visitor, trip.passenger, (proxy) => this.#carried(trip, proxy))
    if (waiter !== undefined) this.#watch(trip, waiter)
  }

  #carried(trip: Trip, proxy: Endpoint | MillraceError): void {
    if (proxy instanceof MillraceError) {
      trip.visitor.destroy('reset')
      this.#refused(trip.tunnel, trip.visitor, proxy.code)
    } else this.#join(trip, proxy)
  }

  /** The visitor's lane was lost, and has taken nothing of it: it gets another, unseen. */
  #move(trip: Trip): void {
    const { tunnel, visitor, passenger } = trip
    this.#log.debug('visitor.moved', { url: tunnel.url, remote: formatAddress(originOf(visitor).remote) })
    const waiter = tunnel.move(passenger, (proxy) => {
      if (proxy instanceof MillraceError) tunnel.release(visitor)
      this.#carried(trip, proxy)
    })
    if (waiter !== undefined) this.#watch(trip, waiter)
  }

  #refused(tunnel: Tunnel, visitor: Endpoint, code: ErrorCode): void {
    // Whoever is kept out on purpose may come as often as he likes: that is no news.
    const level = code === 'ERR_TUNNEL_DENIED' ? 'debug' : 'warn'
    const fields = { url: tunnel.url, remote: formatAddress(originOf(visitor).remote) }
    this.#refusals.tell({ event: 'visitor.refused', level, code, fields })
  }

  /** A visitor that only ended its side still waits for an answer; one that reset is gone. */
  #watch({ tunnel, visitor }: Trip, waiter: Waiter): void {
    visitor.onClosed((how) => {
      if (how !== 'reset') return
      tunnel.cancel(waiter, visitor)
      visitor.destroy('reset')
    })
  }

  #join(trip: Trip, proxy: Endpoint): void {
    const { tunnel, visitor } = trip
    trip.carriers++
    let ended = false
    let join: Join | undefined
    const { identity } = tunnel.owner
    const { rate } = identity
    const onEnd = (result: JoinResult): void => {
      ended = true
      if (join !== undefined) {
        this.#joins.delete(join)
        identity.removeJoin(join)
      }
      const lost = result.reason === 'unreachable'
      if (lost && trip.carriers < maxCarriers) {
        this.#move(trip)
        return
      }
      if (lost) visitor.destroy('reset')
      tunnel.release(visitor)
      logJoinEnd(this.#log, { url: tunnel.url, result, visitorSide: 'a' })
    }
    const options = rate === undefined ? { onEnd } : { aToB: { rate }, bToA: { rate }, onEnd }
    join = this.#dataPlane.join(visitor, proxy, options)
    if (ended) return
    this.#joins.add(join)
    identity.addJoin(join)
  }
}
