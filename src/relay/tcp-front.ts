import type { DataPlane, Endpoint, Join } from '../dataplane/types.ts'
import { type ErrorCode, MillraceError } from '../errors.ts'
import { formatAddress } from '../net/address.ts'
import { logJoinEnd } from '../observe/join-log.ts'
import type { Logger } from '../observe/log.ts'
import type { Refusals } from '../observe/refusals.ts'
import type { Waiter } from './carriers.ts'
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
    let answered = false
    const waiter = tunnel.admit(visitor, (proxy) => {
      answered = true
      if (proxy instanceof MillraceError) {
        visitor.destroy('reset')
        this.#refused(tunnel, visitor, proxy.code)
        return
      }
      this.#join(tunnel, visitor, proxy)
    })
    if (waiter !== undefined && !answered) this.#watch(tunnel, visitor, waiter)
  }

  #refused(tunnel: Tunnel, visitor: Endpoint, code: ErrorCode): void {
    // Whoever is kept out on purpose may come as often as he likes: that is no news.
    const level = code === 'ERR_TUNNEL_DENIED' ? 'debug' : 'warn'
    const fields = { url: tunnel.url, remote: formatAddress(originOf(visitor).remote) }
    this.#refusals.tell({ event: 'visitor.refused', level, code, fields })
  }

  /** A visitor that only ended its side still waits for an answer; one that reset is gone. */
  #watch(tunnel: Tunnel, visitor: Endpoint, waiter: Waiter): void {
    visitor.onClosed((how) => {
      if (how !== 'reset') return
      tunnel.cancel(waiter, visitor)
      visitor.destroy('reset')
    })
  }

  #join(tunnel: Tunnel, visitor: Endpoint, proxy: Endpoint): void {
    let ended = false
    let join: Join | undefined
    const { identity } = tunnel.owner
    const { rate } = identity
    join = this.#dataPlane.join(visitor, proxy, {
      ...(rate === undefined ? {} : { aToB: { rate }, bToA: { rate } }),
      onEnd: (result) => {
        ended = true
        if (join !== undefined) {
          this.#joins.delete(join)
          identity.removeJoin(join)
        }
        tunnel.release(visitor)
        logJoinEnd(this.#log, { url: tunnel.url, result, visitorSide: 'a' })
      },
    })
    if (ended) return
    this.#joins.add(join)
    identity.addJoin(join)
  }
}
