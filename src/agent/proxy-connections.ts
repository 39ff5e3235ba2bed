import { setMaxListeners } from 'node:events'
import type { DataPlane, Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { fixedAgentLimits } from '../limits/agent.ts'
import type { Logger } from '../observe/log.ts'
import type { Refusals } from '../observe/refusals.ts'
import { printable } from '../printable.ts'
import { readMessage, writeMessage } from '../wire/codec.ts'
import type { Message, StartProxy, UnknownMessage } from '../wire/messages.ts'
import { ProxyLanes } from './proxy-lanes.ts'
import { reasonOf } from './reason.ts'
import type { RelayDialer } from './relay-dialer.ts'
import type { LiveTunnel } from './tunnel-book.ts'
import { isPassthrough } from './tunnel-request.ts'
import type { Visitors } from './visitors.ts'

/** How a proxy connection is made: `passthrough` ones are plain, but not for every tunnel. */
export type Transport = 'tls' | 'plain' | 'passthrough'

/** What a session's proxy connections need. */
export interface ProxyConnectionsOptions {
  /** Each carries one visitor after another (extension `lane`). Absent: each is for one. */
  readonly lanes?: DataPlane
  readonly log: Logger
  readonly refusals: Refusals
  readonly dialer: RelayDialer
  readonly transport: 'tls' | 'plain'
  readonly clientId: string
  readonly visitors: Visitors
  readonly find: (url: string) => LiveTunnel | undefined
  /** Most connections on their way or waiting for a visitor. Beyond: ERR_AGENT_WAITING. */
  readonly maxWaiting: number
}

/** How long connections outlive a session that the relay ended in good order, ms. */
const retiredMs = 10_000

/** The proxy connections of one session, up to the moment that each gets its visitor. */
export class ProxyConnections {
  readonly #options: ProxyConnectionsOptions
  readonly #ending = new AbortController()
  readonly #registered = new Set<Endpoint>()
  readonly #lanes: ProxyLanes | undefined
  #waiting = 0
  #find: ProxyConnectionsOptions['find']

  constructor(options: ProxyConnectionsOptions) {
    this.#options = options
    this.#find = options.find
    this.#lanes = options.lanes && new ProxyLanes(options.lanes)
    // Each dial listens to it: many at once are no leak.
    setMaxListeners(0, this.#ending.signal)
  }

  /** Connections on their way or waiting for a visitor. */
  get waiting(): number {
    return this.#waiting + (this.#lanes?.idle ?? 0)
  }

  /**
   * Opens a connection. `ticket` undefined: the relay wants none. `passthrough`: a plain one, for tunnels that may do
   * without TLS.
   */
  open(ticket: string | undefined, transport: Transport = this.#options.transport): void {
    const { maxWaiting, refusals } = this.#options
    if (this.waiting >= maxWaiting) {
      const { message } = new MillraceError('ERR_AGENT_WAITING', `${maxWaiting}`)
      const fields = { waiting: this.waiting, error: message }
      refusals.tell({ event: 'proxy.limit', level: 'warn', code: 'ERR_AGENT_WAITING', fields })
      return
    }
    this.#waiting += 1
    void this.#run(ticket, transport)
  }

  /** The session is over: the relay won't send visitors on what waits any more. */
  close(): void {
    this.#ending.abort()
    for (const endpoint of this.#registered) endpoint.destroy()
    this.#registered.clear()
    this.#lanes?.close()
  }

  /**
   * The relay takes no more visitors, but may have sent one on what waits: those connections stay until the relay
   * closes them, `retiredMs` at most. No others are opened. `find` finds the tunnels that there were.
   */
  retire(find: ProxyConnectionsOptions['find']): void {
    this.#find = find
    this.#ending.abort()
    setTimeout(() => this.close(), retiredMs).unref()
  }

  async #run(ticket: string | undefined, transport: Transport): Promise<void> {
    let endpoint: Endpoint | undefined
    let start: StartProxy
    try {
      endpoint = await this.#options.dialer.connect(transport === 'tls' ? 'tls' : 'plain', this.#ending.signal)
      this.#introduce(endpoint, ticket)
      if (this.#lanes !== undefined) {
        this.#lanes.add(endpoint, {
          started: (visit, message) => this.#serve(visit, startOf(message), transport),
          failed: (error) => this.#failed(error),
        })
        return
      }
      start = await this.#awaitStart(endpoint)
    } catch (error) {
      endpoint?.destroy()
      this.#failed(error)
      return
    } finally {
      this.#waiting -= 1
    }
    this.#serve(endpoint, start, transport)
  }

  #serve(endpoint: Endpoint, start: StartProxy, transport: Transport): void {
    const tunnel = this.#find(start.Url)
    if (tunnel === undefined || (transport === 'passthrough' && !isPassthrough(tunnel.spec))) {
      endpoint.destroy('reset')
      this.#options.log.warn('proxy.unknown-url', { url: printable(start.Url, 256) })
      return
    }
    this.#options.visitors.serve(endpoint, start, tunnel)
  }

  #introduce(endpoint: Endpoint, ticket: string | undefined): void {
    const { clientId } = this.#options
    const ticketField = ticket === undefined ? {} : { Ticket: ticket }
    writeMessage(endpoint, { type: 'RegProxy', ClientId: clientId, ...ticketField })
  }

  async #awaitStart(endpoint: Endpoint): Promise<StartProxy> {
    this.#registered.add(endpoint)
    try {
      const limit = fixedAgentLimits.startProxyBytes.value
      const start = startOf(await readMessage(endpoint, limit, Number.POSITIVE_INFINITY))
      // The session ended while the message was on its way here.
      if (!this.#registered.has(endpoint)) throw new MillraceError('ERR_ENDPOINT_CLOSED')
      return start
    } finally {
      this.#registered.delete(endpoint)
    }
  }

  #failed(error: unknown): void {
    if (this.#ending.signal.aborted) return
    // The relay closes what its pool has no use for: that is no failure.
    const closed =
      error instanceof MillraceError && (error.code === 'ERR_ENDPOINT_ENDED' || error.code === 'ERR_ENDPOINT_RESET')
    if (closed) this.#options.log.debug('proxy.closed', { reason: reasonOf(error) })
    else this.#options.log.warn('proxy.failed', { reason: reasonOf(error) })
  }
}

function startOf(message: Message | UnknownMessage): StartProxy {
  if (message.type === 'StartProxy') return message
  throw new MillraceError('ERR_AGENT_PROTOCOL', `${message.type} for StartProxy`)
}
