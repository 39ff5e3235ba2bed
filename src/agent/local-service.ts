import type { DataPlane, DialTarget, Endpoint, TlsOptions } from '../dataplane/types.ts'
import type { TunnelSpec } from './options.ts'

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

  /** Where the service is, if it can be joined as soon as it answers: without TLS. */
  plainTarget({ target }: TunnelSpec): DialTarget | undefined {
    if (target.kind === 'unix') return { path: target.path }
    return target.kind === 'tls' ? undefined : { host: target.host, port: target.port }
  }

  /** Rejects with ERR_DIAL, ERR_DIAL_TIMEOUT, and for `https://` targets ERR_TLS and ERR_TLS_TIMEOUT. */
  async dial(spec: TunnelSpec, signal: AbortSignal): Promise<Endpoint> {
    const { target } = spec
    const where = target.kind === 'unix' ? { path: target.path } : { host: target.host, port: target.port }
    const socket = await this.#dataPlane.dial(where, { timeoutMs: this.timeoutMs, signal })
    return target.kind === 'tls' ? this.#dataPlane.secure(socket, this.#tlsOptions(spec, target.host)) : socket
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
