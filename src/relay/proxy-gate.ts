import { isIP } from 'node:net'
import type { RelayLimits, RelaySettings } from '../config/relay-settings.ts'
import type { Address, Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { formatAddress, type HostPort } from '../net/address.ts'
import { type Networks, parseNetworks } from '../net/networks.ts'
import { findProxyHeaderEnd, maxProxyHeaderBytes, parseProxyHeader } from '../net/proxy-protocol.ts'
import type { Logger } from '../observe/log.ts'
import { tellOrigin } from './origin.ts'

/** What the gate goes by: whose headers are believed, how many are awaited at once, and for how long. */
export type ProxyGateSettings = Pick<RelaySettings, 'proxyProtocolFrom'> & {
  readonly limits: Pick<RelayLimits, 'pendingVisitors' | 'proxyHeaderMs'>
}

type Serve = (batch: readonly Endpoint[]) => void

/**
 * In front of the public fronts: takes the PROXY protocol header off connections from trusted load balancers, who must
 * send one, and tells the fronts who the visitor is. Connections from anywhere else pass untouched and unseen.
 */
export class ProxyGate {
  /** Undefined: nobody is trusted. */
  readonly #trusted: Networks | undefined
  readonly #maxPending: number
  readonly #timeoutMs: number
  readonly #log: Logger
  readonly #pending = new Set<Endpoint>()
  #closed = false

  /** Throws ERR_NETWORK. */
  constructor({ proxyProtocolFrom, limits }: ProxyGateSettings, log: Logger) {
    this.#trusted = proxyProtocolFrom.length === 0 ? undefined : parseNetworks(proxyProtocolFrom)
    this.#maxPending = limits.pendingVisitors
    this.#timeoutMs = limits.proxyHeaderMs
    this.#log = log
  }

  /** Puts the gate before a front. Costs nothing while nobody is trusted. */
  before(serve: Serve): Serve {
    const trusted = this.#trusted
    if (trusted === undefined) return serve
    return (batch) => {
      const direct: Endpoint[] = []
      for (const visitor of batch) {
        const { remote } = visitor
        if (remote.family !== 'unix' && trusted.has(remote.host)) this.#await(visitor, serve)
        else direct.push(visitor)
      }
      if (direct.length > 0) serve(direct)
    }
  }

  /** Lets nobody through any more whose header is still awaited. */
  close(): void {
    this.#closed = true
    for (const visitor of this.#pending) visitor.destroy('reset')
  }

  #await(visitor: Endpoint, serve: Serve): void {
    if (this.#pending.size >= this.#maxPending || this.#closed) {
      visitor.destroy('reset')
      if (!this.#closed) this.#refused(visitor, new MillraceError('ERR_VISITOR_LIMIT', `${this.#maxPending}`))
      return
    }
    this.#pending.add(visitor)
    this.#readHeader(visitor)
      .then(
        () => serve([visitor]),
        (error: unknown) => {
          visitor.destroy('reset')
          if (!this.#closed && !isProbe(error)) this.#refused(visitor, this.#explained(error))
        },
      )
      .finally(() => this.#pending.delete(visitor))
  }

  async #readHeader(visitor: Endpoint): Promise<void> {
    const bytes = await visitor.readHead(findProxyHeaderEnd, maxProxyHeaderBytes, this.#timeoutMs)
    const header = parseProxyHeader(bytes)
    if (header.kind === 'own') return
    tellOrigin(visitor, { remote: addressOf(header.source), local: addressOf(header.destination) })
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof MillraceError)) return error
    const why =
      error.code === 'ERR_ENDPOINT_READ_TIMEOUT'
        ? `none within ${this.#timeoutMs} ms (limits.proxy_header_ms)`
        : error.code === 'ERR_ENDPOINT_ENDED'
          ? 'the connection ended in it'
          : ''
    return why === '' ? error : new MillraceError('ERR_PROXY_PROTOCOL', why, { cause: error })
  }

  #refused(visitor: Endpoint, error: unknown): void {
    const code = error instanceof MillraceError ? error.code : 'unknown'
    const text = error instanceof Error ? error.message : String(error)
    this.#log.warn('visitor.refused', { remote: formatAddress(visitor.remote), code, error: text })
  }
}

/** Balancers look whether we are there by connecting, and say nothing. */
function isProbe(error: unknown): boolean {
  if (!(error instanceof MillraceError)) return false
  return error.code === 'ERR_ENDPOINT_RESET' || (error.code === 'ERR_ENDPOINT_ENDED' && / 0 bytes/.test(error.message))
}

function addressOf({ host, port }: HostPort): Address {
  return { family: isIP(host) === 6 ? 'ipv6' : 'ipv4', host, port }
}
