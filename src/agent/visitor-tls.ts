import type { DataPlane, Endpoint, TlsOptions, TlsVersion } from '../dataplane/types.ts'
import { Loopback } from './loopback.ts'
import type { TunnelCertificate } from './options.ts'

/** Ends visitors' TLS at the agent, so that the relay sees none of what they say. */
export class VisitorTls {
  readonly #dataPlane: DataPlane
  readonly #loopback: Loopback
  readonly #signal: AbortSignal
  readonly #minVersion: TlsVersion
  /** One options object per certificate: the data plane caches contexts by its identity. */
  readonly #options = new WeakMap<TunnelCertificate, TlsOptions>()

  constructor(dataPlane: DataPlane, signal: AbortSignal, minVersion: TlsVersion) {
    this.#minVersion = minVersion
    this.#dataPlane = dataPlane
    this.#signal = signal
    this.#loopback = new Loopback(dataPlane, signal)
  }

  /** The handshake with a visitor; `proxy` is used up. Rejects with ERR_TLS, ERR_TLS_TIMEOUT, ERR_ENDPOINT_*. */
  async open(proxy: Endpoint, certificate: TunnelCertificate): Promise<Endpoint> {
    return await this.#dataPlane.secure(await this.#unwrap(proxy), this.#optionsOf(certificate))
  }

  /** The visitor's bytes as they come out of a proxy connection, on a socket that can carry a TLS session of its own. */
  async #unwrap(proxy: Endpoint): Promise<Endpoint> {
    if (!proxy.encrypted && !proxy.isVisit) return proxy
    try {
      const { near, far } = await this.#loopback.pair()
      this.#dataPlane.join(proxy, near, { signal: this.#signal })
      return far
    } catch (error) {
      proxy.destroy('reset')
      throw error
    }
  }

  #optionsOf(certificate: TunnelCertificate): TlsOptions {
    const known = this.#options.get(certificate)
    if (known !== undefined) return known
    // Many visitors never send close_notify.
    const minVersion = this.#minVersion
    const options: TlsOptions = { role: 'server', ...certificate, front: 'agent', truncation: 'fin', minVersion }
    this.#options.set(certificate, options)
    return options
  }
}
