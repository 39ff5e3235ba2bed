import type { RelaySettings } from '../config/relay-settings.ts'
import type { DataPlane, Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { httpLimits } from '../http/limits.ts'
import { formatAddress } from '../net/address.ts'
import type { ClientHello } from '../net/client-hello.ts'
import { logJoinEnd } from '../observe/join-log.ts'
import type { Logger } from '../observe/log.ts'
import type { Refusals } from '../observe/refusals.ts'
import type { Addresses } from './addresses.ts'
import type { CertificateStore } from './certificate-store.ts'
import { HttpFront, type HttpFrontOptions, type HttpRoute } from './http-front.ts'
import type { Detour } from './http-route.ts'
import { originOf } from './origin.ts'
import type { HelloVerdict, TlsDoor, TlsGuide } from './tls-door.ts'
import type { Tunnel, TunnelProtocol } from './tunnel.ts'
import type { TunnelRegistry } from './tunnel-registry.ts'
import { type FrontPorts, webUrl } from './urls.ts'

/** What a web front works with. */
export interface WebFrontOptions {
  readonly scheme: 'http' | 'https'
  readonly dataPlane: DataPlane
  readonly registry: TunnelRegistry
  readonly addresses: Pick<Addresses, 'reservations' | 'returns'>
  readonly settings: RelaySettings
  /** Where all web fronts are, once they listen. */
  readonly ports: FrontPorts
  readonly certificates: CertificateStore
  /** Where visitors of https come in. */
  readonly door: TlsDoor
  /** Takes visitors of `tls` tunnels, hello and all. */
  readonly passThrough: (tunnel: Tunnel, visitor: Endpoint) => void
  /** Aborts all joins of the front. */
  readonly signal: AbortSignal
  readonly log: Logger
  readonly refusals: Refusals
}

/** The shared http or https port: brings visitors to the tunnel of their host. */
export class WebFront {
  readonly #options: WebFrontOptions
  readonly #front: HttpFront
  readonly #guide: TlsGuide
  /** What visitors' hellos asked for. The endpoint's own word may be that of a session which was resumed. */
  readonly #asked = new WeakMap<Endpoint, string>()

  constructor(options: WebFrontOptions) {
    const { dataPlane, log, refusals, registry, scheme } = options
    this.#options = options
    this.#guide = {
      kind: 'https',
      judge: (hello, visitor) => this.#judge(hello, visitor),
      secured: (endpoint, { serverName }) => {
        this.#asked.set(endpoint, serverName)
        this.#front.serve(endpoint)
      },
    }
    this.#front = new HttpFront({
      dataPlane,
      scheme,
      log,
      refusals,
      ...this.#changing(),
      awaitHost: (host, left) => this.#await(host, left),
      lookup: (host, visitor) => {
        const detour = scheme === 'http' ? this.#redirect(host) : this.#misdirected(host, visitor)
        if (detour !== undefined) return detour
        const tunnel = registry.find(scheme, host)
        if (tunnel === undefined) return undefined
        return tunnel.welcomes(visitor) ? this.#route(tunnel, visitor) : { kind: 'denied' }
      },
    })
  }

  /** The settings have changed: later visitors are served by the new ones. */
  configure(): void {
    this.#front.configure(this.#changing())
  }

  #changing(): Pick<HttpFrontOptions, 'limits' | 'hsts'> {
    const { scheme, settings } = this.#options
    const { hstsSeconds, limits } = settings
    return {
      limits: httpLimits(limits),
      ...(scheme === 'https' && hstsSeconds !== undefined ? { hsts: `max-age=${hstsSeconds}` } : {}),
    }
  }

  /** Visitors that are being served; those at the door and those passed through are counted there. */
  get active(): number {
    return this.#front.active
  }

  /** Of these, those whose request no service has got yet. */
  get pending(): number {
    return this.#front.pending
  }

  /** Takes visitors over. Never throws. */
  serve(batch: readonly Endpoint[]): void {
    for (const visitor of batch) {
      if (this.#options.scheme === 'http') this.#front.serve(visitor)
      else this.#options.door.open(visitor, this.#guide)
    }
  }

  /** Lets go of visitors whose request the service has not got; joins, and who awaits an answer, go on. */
  close(): void {
    this.#front.close()
  }

  /** Lets go of all visitors without a join. */
  abort(): void {
    this.#front.abort()
  }

  /**
   * A name without a tunnel is served a page if a certificate here is for it: that says more than an alert, which is all
   * that the others get. Visitors who name nobody get the default certificate, and are routed by Host alone.
   */
  #judge(hello: ClientHello, visitor: Endpoint): HelloVerdict | Promise<HelloVerdict> {
    const { serverName } = hello
    if (serverName === '') return 'terminate'
    const left = new AbortController()
    const back = this.#await(serverName, left.signal)
    if (back === undefined) return this.#verdict(serverName, visitor)
    visitor.onClosed(() => left.abort())
    const verdict = (): HelloVerdict => this.#verdict(serverName, visitor)
    return back.then(verdict, verdict)
  }

  #verdict(serverName: string, visitor: Endpoint): HelloVerdict {
    const { certificates, passThrough, registry } = this.#options
    const tunnel = registry.find('tls', serverName)
    if (tunnel !== undefined) {
      passThrough(tunnel, visitor)
      return 'passed'
    }
    const known = registry.find('https', serverName) !== undefined || certificates.covers(serverName)
    return known ? 'terminate' : 'unknown'
  }

  /** The agent of a host that is away for the moment; undefined when there is nothing to wait for. */
  #await(host: string, left: AbortSignal): Promise<void> | undefined {
    const { addresses, scheme, settings } = this.#options
    const { reservations, returns } = addresses
    if (!reservations.isAway('host', host)) return undefined
    const other: readonly TunnelProtocol[] = scheme === 'https' ? ['tls'] : settings.httpsRedirect ? ['https'] : []
    return new Promise((resolve, reject) => {
      const away = (): void => reject(new MillraceError('ERR_TUNNEL_AWAY', host))
      const waiter = returns.wait([scheme, ...other], host, (tunnel) => (tunnel === undefined ? away() : resolve()))
      if (waiter === undefined) away()
      else left.addEventListener('abort', () => returns.cancel(waiter))
    })
  }

  #redirect(host: string): Detour | undefined {
    const { ports, registry, settings } = this.#options
    if (!settings.httpsRedirect || ports.https === undefined) return undefined
    if (registry.find('https', host) === undefined) return undefined
    return { kind: 'redirect', origin: webUrl('https', host, ports.https) }
  }

  /**
   * RFC 9110 section 15.5.20. Browsers send requests for other hosts on a connection whose certificate is for those as
   * well; between hosts of one agent that changes nothing, between those of two it would cross a border.
   */
  #misdirected(host: string, visitor: Endpoint): Detour | undefined {
    const { registry } = this.#options
    const serverName = this.#asked.get(visitor) ?? ''
    if (serverName === '' || serverName === host) return undefined
    const wanted = registry.find('https', host)
    if (wanted === undefined || wanted.owner === registry.find('https', serverName)?.owner) return undefined
    return { kind: 'misdirected' }
  }

  /** For one visitor. */
  #route(tunnel: Tunnel, visitor: Endpoint): HttpRoute {
    const { log, settings, signal } = this.#options
    const { identity } = tunnel.owner
    const { rate } = identity
    const passenger = tunnel.passenger(visitor)
    return {
      url: tunnel.url,
      httpAuth: tunnel.httpAuth,
      joinOptions: {
        signal,
        halfClosedIdleMs: settings.limits.httpIdleMs,
        ...(rate === undefined ? {} : { aToB: { rate }, bToA: { rate } }),
        onEnd: (_, join) => identity.removeJoin(join),
      },
      onJoin: (join) => identity.addJoin(join),
      openProxy: () =>
        new Promise((resolve, reject) => {
          tunnel.admit(visitor, passenger, (proxy) => (proxy instanceof MillraceError ? reject(proxy) : resolve(proxy)))
        }),
      moveProxy: () =>
        new Promise((resolve, reject) => {
          log.debug('visitor.moved', { url: tunnel.url, remote: formatAddress(originOf(visitor).remote) })
          tunnel.move(passenger, (proxy) => (proxy instanceof MillraceError ? reject(proxy) : resolve(proxy)))
        }),
      onJoinEnd: (result, visitor) => {
        tunnel.release(visitor)
        logJoinEnd(log, { url: tunnel.url, result, visitorSide: 'a' })
      },
      onUnused: (visitor) => tunnel.release(visitor),
    }
  }
}
