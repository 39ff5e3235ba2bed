import type { RelaySettings } from '../config/relay-settings.ts'
import type { DataPlane, Endpoint, TlsOptions } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { formatAddress } from '../net/address.ts'
import { logJoinEnd } from '../observe/join-log.ts'
import type { Logger } from '../observe/log.ts'
import { HttpFront, type HttpRoute } from './http-front.ts'
import type { Tunnel } from './tunnel.ts'
import type { TunnelRegistry } from './tunnel-registry.ts'

/** What a web front works with. */
export interface WebFrontOptions {
  readonly scheme: 'http' | 'https'
  readonly dataPlane: DataPlane
  readonly registry: TunnelRegistry
  readonly settings: RelaySettings
  /** PEM chain and key for https. */
  readonly certificate: { readonly cert: string; readonly key: string }
  /** Aborts all joins of the front. */
  readonly signal: AbortSignal
  readonly log: Logger
}

/**
 * How long a visitor and a service may be silent once the request is out, ms. Long polls and slow reports are quiet for
 * minutes; ngrok has no limit at all.
 */
const answerIdleMs = 600_000

/** The shared http or https port: brings visitors to the tunnel of their host. */
export class WebFront {
  readonly #options: WebFrontOptions
  readonly #front: HttpFront
  readonly #tls: TlsOptions
  #handshakes = 0
  #closed = false

  constructor(options: WebFrontOptions) {
    const { dataPlane, log, registry, scheme, settings } = options
    this.#options = options
    // Many browsers never send close_notify.
    this.#tls = { role: 'server', ...options.certificate, front: scheme, alpn: ['http/1.1'], truncation: 'fin' }
    this.#front = new HttpFront({
      dataPlane,
      scheme,
      log,
      limits: { headBytes: settings.limits.headBytes, pending: settings.limits.pendingVisitors },
      lookup: (host) => {
        const tunnel = registry.find(scheme, host)
        return tunnel === undefined ? undefined : this.#route(tunnel)
      },
    })
  }

  /** Visitors that are being served. */
  get active(): number {
    return this.#front.active + this.#handshakes
  }

  /** Takes visitors over. Never throws. */
  serve(batch: readonly Endpoint[]): void {
    for (const visitor of batch) {
      if (this.#options.scheme === 'http') this.#front.serve(visitor)
      else this.#secure(visitor)
    }
  }

  /** Lets go of visitors whose request has not been joined; joins go on. */
  close(): void {
    this.#closed = true
    this.#front.close()
  }

  #secure(visitor: Endpoint): void {
    const { dataPlane, settings } = this.#options
    if (this.#handshakes >= settings.limits.pendingVisitors || this.#closed) {
      visitor.destroy('reset')
      const { code } = new MillraceError('ERR_VISITOR_LIMIT')
      this.#options.log.warn('visitor.refused', { remote: formatAddress(visitor.remote), code })
      return
    }
    this.#handshakes++
    dataPlane
      .secure(visitor, this.#tls)
      .then((endpoint) => this.#front.serve(endpoint))
      .catch((error: unknown) => {
        visitor.destroy()
        const code = error instanceof MillraceError ? error.code : String(error)
        this.#options.log.debug('visitor.refused', { remote: formatAddress(visitor.remote), code })
      })
      .finally(() => {
        this.#handshakes--
      })
  }

  #route(tunnel: Tunnel): HttpRoute {
    const { log, signal } = this.#options
    return {
      url: tunnel.url,
      httpAuth: tunnel.httpAuth,
      joinOptions: { signal, halfClosedIdleMs: answerIdleMs },
      openProxy: (visitor) =>
        new Promise((resolve, reject) => {
          tunnel.admit(visitor, (proxy) => (proxy instanceof MillraceError ? reject(proxy) : resolve(proxy)))
        }),
      onJoinEnd: (result) => {
        tunnel.release()
        logJoinEnd(log, { url: tunnel.url, result, visitorSide: 'a' })
      },
      onUnused: () => tunnel.release(),
    }
  }
}
