import type { DataPlane, Endpoint, TlsOptions, TlsTrust } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import type { HostPort } from '../net/address.ts'

/** What is needed to reach a relay. */
export interface RelayDialerOptions {
  readonly dataPlane: DataPlane
  readonly relay: HostPort
  readonly trust: TlsTrust
  /** Limit for the connect, ms. */
  readonly dialMs: number
}

/** Opens connections to one relay: control and proxy connections go to the same address. */
export class RelayDialer {
  readonly #options: RelayDialerOptions
  /** One object for all connections: the data plane caches TLS contexts, and sessions, by its identity. */
  readonly #tls: TlsOptions

  constructor(options: RelayDialerOptions) {
    this.#options = options
    this.#tls = { role: 'client', serverName: options.relay.host, trust: options.trust, truncation: 'reset' }
  }

  /**
   * Connects, with TLS unless `transport` is `plain`. Rejects with what {@link DataPlane.dial} and
   * {@link DataPlane.secure} reject with, and ERR_AGENT_STOPPED once `signal` is aborted.
   */
  async connect(transport: 'tls' | 'plain', signal: AbortSignal): Promise<Endpoint> {
    const { dataPlane, relay, dialMs } = this.#options
    const socket = await dataPlane.dial(relay, { timeoutMs: dialMs, signal })
    const endpoint = transport === 'plain' ? socket : await dataPlane.secure(socket, this.#tls)
    if (signal.aborted) {
      endpoint.destroy('reset')
      throw new MillraceError('ERR_AGENT_STOPPED')
    }
    return endpoint
  }
}
