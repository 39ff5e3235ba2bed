import type { DataPlane, Endpoint, Join } from '../dataplane/types.ts'
import { serviceDownPage } from '../http/pages.ts'
import { logJoinEnd } from '../observe/join-log.ts'
import type { Logger } from '../observe/log.ts'
import type { StartProxy } from '../wire/messages.ts'
import type { Joins } from './joins.ts'
import type { LocalServices } from './local-service.ts'
import { reasonOf } from './reason.ts'
import { type LiveTunnel, targetName } from './tunnel-book.ts'

/** What serving visitors takes. */
export interface VisitorsOptions {
  readonly dataPlane: DataPlane
  readonly log: Logger
  readonly services: LocalServices
  readonly joins: Joins
}

/** Brings visitors to the local services. Independent of sessions: losing the relay's control touches no visitor. */
export class Visitors {
  readonly #options: VisitorsOptions

  constructor(options: VisitorsOptions) {
    this.#options = options
  }

  /** Takes a proxy connection whose `StartProxy` has been read; the visitor's bytes follow on it. Never rejects. */
  async serve(proxy: Endpoint, start: StartProxy, tunnel: LiveTunnel): Promise<void> {
    const { joins, log, services } = this.#options
    joins.arrived()
    log.debug('visitor', { url: tunnel.url, client: start.ClientAddr, join: start.Id })
    let local: Endpoint
    try {
      local = await services.dial(tunnel.spec, joins.signal)
    } catch (error) {
      this.#turnAway(proxy, tunnel, error)
      return
    }
    if (joins.signal.aborted) {
      joins.turnedAway()
      proxy.destroy('reset')
      local.destroy('reset')
      return
    }
    this.#join(proxy, local, tunnel.url)
  }

  #join(proxy: Endpoint, local: Endpoint, url: string): void {
    const { dataPlane, joins, log } = this.#options
    const join: Join = dataPlane.join(proxy, local, {
      onEnd: (result) => {
        joins.delete(join)
        logJoinEnd(log, { url, result, visitorSide: 'a' })
      },
    })
    joins.add(join)
  }

  /** The service can't be reached: a browser is told so, a TCP visitor gets what a closed port would have sent. */
  #turnAway(proxy: Endpoint, tunnel: LiveTunnel, error: unknown): void {
    const { joins, log } = this.#options
    const { aborted } = joins.signal
    joins.turnedAway()
    if (aborted || tunnel.protocol === 'tcp') {
      proxy.destroy('reset')
    } else {
      proxy.write(serviceDownPage(targetName(tunnel.spec)))
      proxy.destroy('fin')
    }
    if (aborted) return
    log.warn(
      'local.down',
      { url: tunnel.url, target: targetName(tunnel.spec), error: reasonOf(error) },
      'the service does not answer: start it, or check the target',
    )
  }
}
