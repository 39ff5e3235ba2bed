import type { DataPlane, Endpoint, Join, JoinOptions, JoinResult, RateLimit } from '../dataplane/types.ts'
import { type ErrorCode, MillraceError } from '../errors.ts'
import { formatAddress } from '../net/address.ts'
import { logJoinEnd } from '../observe/join-log.ts'
import type { Logger } from '../observe/log.ts'
import type { Refusals } from '../observe/refusals.ts'
import { newReqId } from '../wire/ids.ts'
import type { StartProxy } from '../wire/messages.ts'
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

/** Brings visitors of TCP tunnels together with their agent. */
export class TcpFront {
  readonly #options: TcpFrontOptions

  constructor(options: TcpFrontOptions) {
    this.#options = options
  }

  /** Takes a visitor over. One for whom there is no proxy connection is reset: raw TCP has no other way to say it. */
  serve(tunnel: Tunnel, visitor: Endpoint): void {
    const trip = new Trip(this.#options, tunnel, visitor)
    if (tunnel.welcomes(visitor)) trip.begin()
    else trip.refuse('ERR_TUNNEL_DENIED')
  }
}

/** A visitor on its way to its agent, and there. There is one for each: it is its own passenger and its own join's options. */
class Trip implements Passenger, JoinOptions {
  readonly #options: TcpFrontOptions
  readonly #tunnel: Tunnel
  readonly #visitor: Endpoint
  readonly #id = newReqId()
  /** How many carriers it has had. */
  #carriers = 0
  /** The last join that has ended, perhaps before the call that began it returned. */
  #ended: Join | undefined

  constructor(options: TcpFrontOptions, tunnel: Tunnel, visitor: Endpoint) {
    this.#options = options
    this.#tunnel = tunnel
    this.#visitor = visitor
  }

  get plainAllowed(): boolean {
    return this.#tunnel.plainAllowed
  }

  start(): StartProxy {
    return this.#tunnel.startProxy(this.#visitor, this.#id)
  }

  begin(): void {
    const onCarrier = (proxy: Endpoint | MillraceError): void => this.#carried(proxy)
    const waiter = this.#tunnel.admit(this.#visitor, this, onCarrier)
    if (waiter !== undefined) this.#watch(waiter)
  }

  refuse(code: ErrorCode): void {
    this.#visitor.destroy('reset')
    // Whoever is kept out on purpose may come as often as he likes: that is no news.
    const level = code === 'ERR_TUNNEL_DENIED' ? 'debug' : 'warn'
    this.#options.refusals.tell({ event: 'visitor.refused', level, code, fields: this.#fields })
  }

  get #fields(): { readonly url: string; readonly remote: string } {
    return { url: this.#tunnel.url, remote: formatAddress(originOf(this.#visitor).remote) }
  }

  #carried(proxy: Endpoint | MillraceError): void {
    if (proxy instanceof MillraceError) this.refuse(proxy.code)
    else this.#begin(proxy)
  }

  /** The visitor's lane was lost, and has taken nothing of it: it gets another, unseen. */
  #move(): void {
    this.#options.log.debug('visitor.moved', this.#fields)
    const waiter = this.#tunnel.move(this, (proxy) => {
      if (proxy instanceof MillraceError) this.#tunnel.release(this.#visitor)
      this.#carried(proxy)
    })
    if (waiter !== undefined) this.#watch(waiter)
  }

  /** A visitor that only ended its side still waits for an answer; one that reset is gone. */
  #watch(waiter: Waiter): void {
    this.#visitor.onClosed((how) => {
      if (how !== 'reset') return
      this.#tunnel.cancel(waiter, this.#visitor)
      this.#visitor.destroy('reset')
    })
  }

  #begin(proxy: Endpoint): void {
    const { dataPlane, joins } = this.#options
    const { identity } = this.#tunnel.owner
    const { rate } = identity
    this.#carriers++
    const join = dataPlane.join(this.#visitor, proxy, rate === undefined ? this : this.#limitedTo(rate))
    if (this.#ended === join) return
    joins.add(join)
    identity.addJoin(join)
  }

  #limitedTo(rate: RateLimit): JoinOptions {
    return { aToB: { rate }, bToA: { rate }, onEnd: (result, join) => this.onEnd(result, join) }
  }

  onEnd(result: JoinResult, join: Join): void {
    const { joins, log } = this.#options
    this.#ended = join
    joins.delete(join)
    this.#tunnel.owner.identity.removeJoin(join)
    const lost = result.reason === 'unreachable'
    if (lost && this.#carriers < maxCarriers) {
      this.#move()
      return
    }
    if (lost) this.#visitor.destroy('reset')
    this.#tunnel.release(this.#visitor)
    logJoinEnd(log, { url: this.#tunnel.url, result, visitorSide: 'a' })
  }
}
