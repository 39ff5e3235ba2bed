import type { DataPlane, Endpoint, Join } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { logJoinEnd } from '../observe/join-log.ts'
import type { Logger } from '../observe/log.ts'
import type { Waiter } from './carriers.ts'
import type { JoinBook } from './join-book.ts'

import type { Tunnel } from './tunnel.ts'

/** What the front works with. */
export interface TcpFrontOptions {
  readonly dataPlane: DataPlane
  readonly joins: JoinBook
  readonly log: Logger
}

/** Brings visitors of TCP tunnels together with their agent. */
export class TcpFront {
  readonly #dataPlane: DataPlane
  readonly #joins: JoinBook
  readonly #log: Logger

  constructor({ dataPlane, joins, log }: TcpFrontOptions) {
    this.#dataPlane = dataPlane
    this.#joins = joins
    this.#log = log
  }

  /** Takes a visitor over. One for whom there is no proxy connection is reset: raw TCP has no other way to say it. */
  serve(tunnel: Tunnel, visitor: Endpoint): void {
    let answered = false
    const waiter = tunnel.admit(visitor, (proxy) => {
      answered = true
      if (proxy instanceof MillraceError) {
        visitor.destroy('reset')
        this.#log.warn('visitor.refused', { url: tunnel.url, code: proxy.code })
        return
      }
      this.#join(tunnel, visitor, proxy)
    })
    if (waiter !== undefined && !answered) this.#watch(tunnel, visitor, waiter)
  }

  /** A visitor that only ended its side still waits for an answer; one that reset is gone. */
  #watch(tunnel: Tunnel, visitor: Endpoint, waiter: Waiter): void {
    visitor.onClosed((how) => {
      if (how !== 'reset') return
      tunnel.cancel(waiter)
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
        tunnel.release()
        logJoinEnd(this.#log, { url: tunnel.url, result, visitorSide: 'a' })
      },
    })
    if (ended) return
    this.#joins.add(join)
    identity.addJoin(join)
  }
}
