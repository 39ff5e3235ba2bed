import type { DataPlane, DialTarget, Endpoint, TlsOptions } from '../dataplane/types.ts'
import type { StartProxy } from '../wire/messages.ts'
import type { TunnelSpec } from './options.ts'
import { originHeader } from './visitor-origin.ts'

/** Connects to the private services behind tunnels. */
export class LocalServices {
  readonly #dataPlane: DataPlane
  /** Limit for the connect, ms. */
  readonly timeoutMs: number
  /** One TLS options object per tunnel: the data plane caches contexts by its identity. */
  readonly #tls = new WeakMap<TunnelSpec, TlsOptions>()

  constructor(dataPlane: DataPlane, timeoutMs: number) {
    this.#dataPlane = dataPlane
    this.timeoutMs = timeoutMs
  }

  /** Where the service is, if it can be joined as soon as it answers: without TLS, and with nothing to say first. */
  plainTarget({ target, proxyProtocol }: TunnelSpec): DialTarget | undefined {
    if (target.kind === 'tls' || proxyProtocol !== undefined) return undefined
    return target.kind === 'unix' ? { path: target.path } : { host: target.host, port: target.port }
  }

  /**
   * Connects for a visitor; a PROXY protocol header, where the tunnel wants one, has been written when this resolves.
   * Rejects with ERR_DIAL, ERR_DIAL_TIMEOUT, and for `https://` targets ERR_TLS and ERR_TLS_TIMEOUT.
   */
  async dial(spec: TunnelSpec, start: StartProxy, signal: AbortSignal): Promise<Endpoint> {
    const { target, proxyProtocol } = spec
    const where = target.kind === 'unix' ? { path: target.path } : { host: target.host, port: target.port }
    const socket = await this.#dataPlane.dial(where, { timeoutMs: this.timeoutMs, signal })
    if (proxyProtocol !== undefined) socket.write(originHeader(proxyProtocol, start))
    if (target.kind !== 'tls') return socket
    // The header goes in front of the handshake, as a balancer that passes TLS through would put it.
    if (proxyProtocol !== undefined) await this.#sent(socket)
    return await this.#dataPlane.secure(socket, this.#tlsOptions(spec, target.host))
  }

  async #sent(socket: Endpoint): Promise<void> {
    try {
      await socket.flushed()
    } catch (error) {
      socket.destroy('reset')
      throw error
    }
  }

  #tlsOptions(spec: TunnelSpec, serverName: string): TlsOptions {
    const known = this.#tls.get(spec)
    if (known !== undefined) return known
    // Many services never send close_notify.
    const options: TlsOptions = { role: 'client', serverName, trust: spec.targetTrust, truncation: 'fin' }
    this.#tls.set(spec, options)
    return options
  }
}
