import type { DataPlane, Endpoint, Join, JoinToOptions, TlsVersion } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { serviceDownPage } from '../http/pages.ts'
import { logJoinEnd } from '../observe/join-log.ts'
import type { Logger } from '../observe/log.ts'
import type { Refusals } from '../observe/refusals.ts'
import type { StartProxy } from '../wire/messages.ts'
import type { Joins } from './joins.ts'
import type { LocalServices } from './local-service.ts'
import type { TunnelCertificate } from './options.ts'
import { reasonOf, trustProblem } from './reason.ts'
import { type LiveTunnel, targetName } from './tunnel-book.ts'
import { VisitorTls } from './visitor-tls.ts'

/** What serving visitors takes. */
export interface VisitorsOptions {
  readonly dataPlane: DataPlane
  readonly log: Logger
  readonly services: LocalServices
  readonly joins: Joins
  readonly refusals: Refusals
  /** Most visitors at once. Beyond: ERR_AGENT_VISITORS. */
  readonly maxVisitors: number
  /** The oldest TLS of visitors whose TLS ends here. */
  readonly tlsMinVersion: TlsVersion
}

/** Brings visitors to the local services. Independent of sessions: losing the relay's control touches no visitor. */
export class Visitors {
  readonly #options: VisitorsOptions
  readonly #tls: VisitorTls

  constructor(options: VisitorsOptions) {
    this.#options = options
    this.#tls = new VisitorTls(options.dataPlane, options.joins.signal, options.tlsMinVersion)
  }

  /** Takes a proxy connection whose `StartProxy` has been read; the visitor's bytes follow on it. Never throws. */
  serve(proxy: Endpoint, start: StartProxy, tunnel: LiveTunnel): void {
    const { dataPlane, joins, log, maxVisitors, refusals, services } = this.#options
    if (joins.served >= maxVisitors) {
      proxy.destroy('reset')
      const fields = { url: tunnel.url, error: new MillraceError('ERR_AGENT_VISITORS', `${maxVisitors}`).message }
      refusals.tell({ event: 'visitor.refused', level: 'warn', code: 'ERR_AGENT_VISITORS', fields })
      return
    }
    joins.arrived()
    log.debug('visitor', { url: tunnel.url, client: start.ClientAddr, join: start.Id })
    if (joins.signal.aborted) {
      joins.turnedAway()
      proxy.destroy('reset')
      return
    }
    // A browser whose service is down gets a page, for which its connection must outlive the dial.
    const { certificate } = tunnel.spec
    if (certificate !== undefined) {
      void this.#terminate(proxy, start, tunnel, certificate)
      return
    }
    const where = isRaw(tunnel) ? services.plainTarget(tunnel.spec) : undefined
    if (where === undefined) void this.#dialAndJoin(proxy, start, tunnel)
    else this.#join(tunnel, (options) => dataPlane.joinTo(proxy, where, options))
  }

  async #terminate(
    proxy: Endpoint,
    start: StartProxy,
    tunnel: LiveTunnel,
    certificate: TunnelCertificate,
  ): Promise<void> {
    const { joins, log } = this.#options
    let visitor: Endpoint
    try {
      visitor = await this.#tls.open(proxy, certificate)
    } catch (error) {
      joins.turnedAway()
      log.debug('visitor.refused', { url: tunnel.url, client: start.ClientAddr, error: reasonOf(error) })
      return
    }
    await this.#dialAndJoin(visitor, start, tunnel)
  }

  async #dialAndJoin(proxy: Endpoint, start: StartProxy, tunnel: LiveTunnel): Promise<void> {
    const { dataPlane, joins, services } = this.#options
    let local: Endpoint
    try {
      local = await services.dial(tunnel.spec, start, joins.signal)
    } catch (error) {
      joins.turnedAway()
      this.#turnAway(proxy, tunnel, error)
      return
    }
    if (joins.signal.aborted) {
      joins.turnedAway()
      proxy.destroy('reset')
      local.destroy('reset')
      return
    }
    this.#join(tunnel, (options) => dataPlane.join(proxy, local, options))
  }

  #join(tunnel: LiveTunnel, begin: (options: JoinToOptions) => Join): void {
    const { joins, log, services } = this.#options
    const join = begin({
      // In one literal, as all that is made for each visitor: V8 gives each copy of an object that grows a shape of its own.
      dialTimeoutMs: services.timeoutMs,
      onEnd: (result) => {
        if (result.reason === 'unreachable') {
          joins.neverBegan(join)
          this.#logDown(tunnel, unreachable(targetName(tunnel.spec), result.errno))
          return
        }
        joins.delete(join)
        logJoinEnd(log, { url: tunnel.url, result, visitorSide: 'a' })
      },
    })
    joins.add(join)
  }

  /** The service can't be reached: a browser is told so, a TCP visitor gets what a closed port would have sent. */
  #turnAway(proxy: Endpoint, tunnel: LiveTunnel, error: unknown): void {
    const { aborted } = this.#options.joins.signal
    if (aborted || isRaw(tunnel)) {
      proxy.destroy('reset')
    } else {
      proxy.write(serviceDownPage(targetName(tunnel.spec)))
      proxy.destroy('fin')
    }
    if (!aborted) this.#logDown(tunnel, error)
  }

  #logDown(tunnel: LiveTunnel, error: unknown): void {
    this.#options.log.warn(
      'local.down',
      { url: tunnel.url, target: targetName(tunnel.spec), error: reasonOf(error) },
      trustProblem(error) === ''
        ? 'the service does not answer: start it, or check the target'
        : 'its certificate is not trusted: give its CA with --target-ca, or --target-insecure-skip-verify',
    )
  }
}

/** No page can tell visitors of these that a service is down. */
function isRaw({ protocol }: LiveTunnel): boolean {
  return protocol === 'tcp' || protocol === 'tls'
}

/** What `dial()` would have rejected with. */
function unreachable(target: string, errno: string): MillraceError {
  if (errno === 'ETIMEDOUT') return new MillraceError('ERR_DIAL_TIMEOUT', target)
  return new MillraceError('ERR_DIAL', errno === '' ? target : `${target} (${errno})`)
}
