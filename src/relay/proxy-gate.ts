import { isIP } from 'node:net'
import type { RelayLimits, RelaySettings } from '../config/relay-settings.ts'
import type { Address, Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { formatAddress, type HostPort } from '../net/address.ts'
import { AddressRate, type AddressRateOptions } from '../net/address-rate.ts'
import { type Networks, parseNetworks } from '../net/networks.ts'
import { findProxyHeaderEnd, maxProxyHeaderBytes, parseProxyHeader } from '../net/proxy-protocol.ts'
import type { Refusals } from '../observe/refusals.ts'
import { Access } from './access.ts'
import { hostOf, originOf, tellOrigin } from './origin.ts'

/** What the gate goes by: whose headers are believed, how many are awaited at once, and for how long. */
export type ProxyGateSettings = Pick<RelaySettings, 'proxyProtocolFrom' | 'allow' | 'deny'> & {
  readonly limits: Pick<RelayLimits, 'pendingVisitors' | 'proxyHeaderMs' | 'rateAddresses' | 'visitorRate'>
}

/** So many seconds' worth of visitors may come from one address at once. */
const visitorBurstSeconds = 2

type Serve = (batch: readonly Endpoint[]) => void

/** How often who may come. A class for the sake of V8, as the settings of pools are. */
class VisitorRate implements AddressRateOptions {
  readonly #limits: ProxyGateSettings['limits']

  constructor(limits: ProxyGateSettings['limits']) {
    this.#limits = limits
  }

  get perSecond(): number {
    return this.#limits.visitorRate
  }

  get addresses(): number {
    return this.#limits.rateAddresses
  }
}

/**
 * In front of the public fronts: keeps out who may not come, or comes too often, and takes the PROXY protocol header off connections from trusted load balancers, who must
 * send one, and tells the fronts who the visitor is. Connections from anywhere else pass untouched.
 */
export class ProxyGate {
  /** May change: it is asked at each batch. */
  readonly #settings: ProxyGateSettings
  readonly #access: Access
  /** Undefined: nobody is trusted. */
  #trusted: Networks | undefined
  /** What `#trusted` was made of. */
  #from: readonly string[] = []
  readonly #refusals: Refusals
  readonly #rate: AddressRate
  readonly #pending = new Set<Endpoint>()
  #closed = false

  /** Throws ERR_NETWORK. */
  constructor(settings: ProxyGateSettings, refusals: Refusals) {
    this.#settings = settings
    this.#access = new Access(settings)
    this.#refusals = refusals
    this.#rate = new AddressRate(visitorBurstSeconds, new VisitorRate(settings.limits))
    this.#look()
  }

  /** Connections whose header is awaited. */
  get pending(): number {
    return this.#pending.size
  }

  /** Puts the gate before a front. */
  before(serve: Serve): Serve {
    return (batch) => {
      const trusted = this.#look()
      const direct: Endpoint[] = []
      for (const visitor of batch) {
        if (trusted !== undefined && comesFrom(visitor, trusted)) this.#await(visitor, serve)
        else if (this.#admit(visitor)) direct.push(visitor)
      }
      if (direct.length > 0) serve(direct)
    }
  }

  /** Lets nobody through any more whose header is still awaited. */
  close(): void {
    this.#closed = true
    for (const visitor of this.#pending) visitor.destroy('reset')
  }

  #admit(visitor: Endpoint): boolean {
    const problem = this.#problem(visitor)
    if (problem === undefined) return true
    visitor.destroy('reset')
    this.#refused(visitor, problem)
    return false
  }

  #problem(visitor: Endpoint): MillraceError | undefined {
    if (!this.#access.permits(originOf(visitor).remote)) return new MillraceError('ERR_ADDRESS_DENIED')
    if (this.#rate.take(hostOf(visitor), performance.now())) return undefined
    return new MillraceError('ERR_VISITOR_RATE', `${this.#settings.limits.visitorRate}`)
  }

  #look(): Networks | undefined {
    const { proxyProtocolFrom } = this.#settings
    if (proxyProtocolFrom !== this.#from) {
      this.#from = proxyProtocolFrom
      this.#trusted = proxyProtocolFrom.length === 0 ? undefined : parseNetworks(proxyProtocolFrom)
    }
    return this.#trusted
  }

  #await(visitor: Endpoint, serve: Serve): void {
    if (this.#pending.size >= this.#settings.limits.pendingVisitors || this.#closed) {
      visitor.destroy('reset')
      if (!this.#closed)
        this.#refused(visitor, new MillraceError('ERR_VISITOR_LIMIT', `${this.#settings.limits.pendingVisitors}`))
      return
    }
    this.#pending.add(visitor)
    this.#readHeader(visitor)
      .then(
        () => {
          if (this.#admit(visitor)) serve([visitor])
        },
        (error: unknown) => {
          visitor.destroy('reset')
          if (!this.#closed && !isProbe(error)) this.#refused(visitor, this.#explained(error))
        },
      )
      .finally(() => this.#pending.delete(visitor))
  }

  async #readHeader(visitor: Endpoint): Promise<void> {
    const bytes = await visitor.readHead(findProxyHeaderEnd, maxProxyHeaderBytes, this.#settings.limits.proxyHeaderMs)
    const header = parseProxyHeader(bytes)
    if (header.kind === 'own') return
    tellOrigin(visitor, { remote: addressOf(header.source), local: addressOf(header.destination) })
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof MillraceError)) return error
    const why =
      error.code === 'ERR_ENDPOINT_READ_TIMEOUT'
        ? `none within ${this.#settings.limits.proxyHeaderMs} ms (limits.proxy_header_ms)`
        : error.code === 'ERR_ENDPOINT_ENDED'
          ? 'the connection ended in it'
          : ''
    return why === '' ? error : new MillraceError('ERR_PROXY_PROTOCOL', why, { cause: error })
  }

  #refused(visitor: Endpoint, error: unknown): void {
    const code = error instanceof MillraceError ? error.code : 'unknown'
    const text = error instanceof Error ? error.message : String(error)
    // Whoever is kept out on purpose may come as often as he likes: that is no news.
    const level = code === 'ERR_ADDRESS_DENIED' ? 'debug' : 'warn'
    const fields = { remote: formatAddress(originOf(visitor).remote), error: text }
    this.#refusals.tell({ event: 'visitor.refused', level, code, fields })
  }
}

/** Balancers look whether we are there by connecting, and say nothing. */
function isProbe(error: unknown): boolean {
  if (!(error instanceof MillraceError)) return false
  return error.code === 'ERR_ENDPOINT_RESET' || (error.code === 'ERR_ENDPOINT_ENDED' && / 0 bytes/.test(error.message))
}

function comesFrom({ remote }: Endpoint, networks: Networks): boolean {
  return remote.family !== 'unix' && networks.has(remote.host)
}

function addressOf({ host, port }: HostPort): Address {
  return { family: isIP(host) === 6 ? 'ipv6' : 'ipv4', host, port }
}
