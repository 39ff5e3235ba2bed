import type { DataPlane, Endpoint, TlsOptions, TlsTrust, TlsVersion } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { formatHostPort, type HostPort } from '../net/address.ts'
import { dialThroughProxy } from '../net/proxy-dial.ts'
import type { ProxyChoice } from '../net/proxy-environment.ts'
import { describeProxy } from '../net/proxy-server.ts'
import type { Logger } from '../observe/log.ts'
import { reasonOf, trustProblem } from './reason.ts'

/** What is needed to reach a relay. */
export interface RelayDialerOptions {
  readonly dataPlane: DataPlane
  readonly log: Logger
  /** In the order in which they are tried. */
  readonly relays: readonly [HostPort, ...HostPort[]]
  readonly trust: TlsTrust
  /** The oldest TLS that is spoken. Default TLSv1.2. */
  readonly minVersion?: TlsVersion
  readonly proxy: ProxyChoice
  /** Limit for the connect, ms: to one relay, a proxy's answer included. */
  readonly dialMs: number
}

interface RelayAddress {
  readonly address: HostPort
  /** One object for all connections: the data plane caches TLS contexts, and sessions, by its identity. */
  readonly tls: TlsOptions
}

/** Opens connections to the relay: control connections to whichever answers, proxy connections to the same one. */
export class RelayDialer {
  readonly #options: RelayDialerOptions
  readonly #relays: readonly RelayAddress[]
  #current: RelayAddress
  /** Where the next session begins to try: behind a relay that answered the dial and then let nobody in. */
  #next = 0

  constructor(options: RelayDialerOptions) {
    this.#options = options
    const { trust, minVersion = 'TLSv1.2' } = options
    const withTls = (address: HostPort): RelayAddress => ({
      address,
      tls: { role: 'client', serverName: address.host, trust, minVersion, truncation: 'reset' },
    })
    const [first, ...others] = options.relays
    this.#current = withTls(first)
    this.#relays = [this.#current, ...others.map(withTls)]
  }

  /** The relay of the current session, or the one tried last. */
  get relay(): HostPort {
    return this.#current.address
  }

  /** The same for people: `host:port`, and the proxy that leads there. */
  get way(): string {
    const { host, port } = this.relay
    const proxy = this.#options.proxy(this.relay)
    return `${formatHostPort(host, port)}${proxy === undefined ? '' : ` through ${describeProxy(proxy)}`}`
  }

  /**
   * A control connection, over TLS: to the first relay that can be reached and trusted. Rejects as {@link connect} does;
   * of several failures with the first that may pass.
   */
  async connectControl(signal: AbortSignal): Promise<Endpoint> {
    const start = this.#next
    this.#next = 0
    let failure: unknown
    for (let i = 0; i < this.#relays.length; i++) {
      const index = (start + i) % this.#relays.length
      this.#current = this.#relays[index] ?? this.#current
      try {
        const endpoint = await this.connect('tls', signal)
        // Until `accepted` says otherwise.
        this.#next = (index + 1) % this.#relays.length
        return endpoint
      } catch (error) {
        if (signal.aborted) throw error
        if (this.#relays.length > 1)
          this.#options.log.warn('relay.failed', { relay: this.way, reason: reasonOf(error) })
        // One relay with a wrong certificate must not end an agent whose other relays are merely down.
        if (failure === undefined || (trustProblem(failure) !== '' && trustProblem(error) === '')) failure = error
      }
    }
    throw failure
  }

  /** The relay has let the agent in: the next session tries in the given order again. */
  accepted(): void {
    this.#next = 0
  }

  /**
   * Connects to the current relay, with TLS unless `transport` is `plain`. Rejects with what {@link DataPlane.dial} and
   * {@link DataPlane.secure} reject with, ERR_OUTBOUND_PROXY, and ERR_AGENT_STOPPED once `signal` is aborted.
   */
  async connect(transport: 'tls' | 'plain', signal: AbortSignal): Promise<Endpoint> {
    const { address, tls } = this.#current
    const socket = await this.#dial(address, signal)
    const endpoint = transport === 'plain' ? socket : await this.#options.dataPlane.secure(socket, tls)
    if (signal.aborted) {
      endpoint.destroy('reset')
      throw new MillraceError('ERR_AGENT_STOPPED')
    }
    return endpoint
  }

  #dial(address: HostPort, signal: AbortSignal): Promise<Endpoint> {
    const { dataPlane, dialMs, proxy } = this.#options
    const server = proxy(address)
    const limits = { timeoutMs: dialMs, signal }
    return server === undefined ? dataPlane.dial(address, limits) : dialThroughProxy(dataPlane, server, address, limits)
  }
}
