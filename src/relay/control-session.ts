import type { RelayLimits } from '../config/relay-settings.ts'
import type { DataPlane, Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import type { Logger } from '../observe/log.ts'
import type { Refusals } from '../observe/refusals.ts'
import { readMessage, writeMessage } from '../wire/codec.ts'
import { maxFrame, ping2IntervalMs, ping2SilenceMs, silenceMs } from '../wire/limits.ts'
import type { Extension, Message, ReqTunnel, UnknownMessage } from '../wire/messages.ts'
import { TicketBook } from '../wire/tickets.ts'
import { welcome } from './auth-answer.ts'
import { MessageRate } from './message-rate.ts'
import { hostOf } from './origin.ts'
import { LaneCarrier, OneShot } from './proxy-carriers.ts'
import { ProxyPool, type ProxyPoolOptions } from './proxy-pool.ts'
import { proxyRequests } from './proxy-requests.ts'
import type { Registrar } from './registrar.ts'
import { type SessionEnd, sessionEndOf } from './session-end.ts'
import type { Identity } from './tokens.ts'
import type { Tunnel, TunnelOwner } from './tunnel.ts'

/** What makes a control session. */
export interface ControlSessionOptions {
  readonly dataPlane: DataPlane
  readonly endpoint: Endpoint
  /** A secret on an open relay and for 1.x agents: not for logs. */
  readonly clientId: string
  readonly identity: Identity
  /** What was negotiated; undefined = a 1.x agent. */
  readonly extensions: readonly Extension[] | undefined
  readonly limits: RelayLimits
  readonly registrar: Registrar
  /** Already tells which session it is. */
  readonly log: Logger
  readonly refusals: Refusals
  /** Called once at the end, when nothing is registered any more. */
  readonly onClose: (session: ControlSession) => void
}

/**
 * Requests for proxy connections that an agent may have open at once. So many handshakes keep both ends busy, and more
 * would only make each of them later: than the agent's limit for what is on its way (1024), than an address's handshakes
 * may be in number, than the time after which a request is taken for lost. For a 1.x agent they are 40 bytes each, together
 * far below a record. Lanes come back: few of them serve many, as long as no handshakes keep both ends from it.
 */
const maxRequested = { lanes: 64, tickets: 256, of1x: 128 } as const

/** Ends that are our refusal to go on. */
const refusedEnds: ReadonlySet<SessionEnd> = new Set<SessionEnd>(['protocol', 'flood', 'overflow'])

/** Skipped messages of one session that are logged. */
const maxSkippedLogged = 10

/**
 * What a pool goes by. A class, and no object with accessors, which V8 keeps as a dictionary that no visitor's code can be
 * compiled against.
 */
class PoolSettings implements ProxyPoolOptions {
  readonly maxRequested: number
  readonly request: (count: number) => void
  readonly plainServesAll: () => boolean
  readonly #limits: RelayLimits

  constructor(limits: RelayLimits, most: number, own: Pick<PoolSettings, 'request' | 'plainServesAll'>) {
    this.#limits = limits
    this.maxRequested = most
    this.request = own.request
    this.plainServesAll = own.plainServesAll
  }

  get limit(): number {
    return this.#limits.pool
  }

  get waiters(): number {
    return this.#limits.waiters
  }

  get waiterTimeoutMs(): number {
    return this.#limits.waiterTimeoutMs
  }
}

/** The relay's end of one control connection: owns the agent's tunnels and its proxy pool. Joins outlive it. */
export class ControlSession implements TunnelOwner {
  readonly clientId: string
  readonly identity: Identity
  readonly pool: ProxyPool
  #plainPool: ProxyPool | undefined
  readonly tunnels = new Set<Tunnel>()
  readonly #options: ControlSessionOptions
  readonly #extensions: ReadonlySet<Extension>
  readonly #tickets = new TicketBook()
  /** Of plain connections, for tunnels that are passed through. */
  readonly #plainTickets = new TicketBook()
  #heardAt = performance.now()
  #pingedAt = performance.now()
  #skipped = 0
  #closed = false

  constructor(options: ControlSessionOptions) {
    this.#options = options
    this.#extensions = new Set(options.extensions)
    this.clientId = options.clientId
    this.identity = options.identity
    this.identity.addSession()
    this.pool = this.#makePool({
      request: (count) => this.#requestProxies(count, this.knows('ticket') ? this.#tickets : undefined),
      plainServesAll: () => this.knows('plain') && [...this.tunnels].every((tunnel) => tunnel.plainAllowed),
    })
  }

  get plainPool(): ProxyPool {
    if (this.#plainPool === undefined) {
      this.#plainPool = this.#makePool({
        request: (count) => this.#requestProxies(count, this.#plainTickets, true),
        plainServesAll: () => true,
      })
      if (this.#closed) this.#plainPool.close()
      else this.#plainPool.open()
    }
    return this.#plainPool
  }

  get identityKey(): string {
    return this.identity.key
  }

  /** Visitors who wait for a proxy connection. */
  get waiting(): number {
    return this.pool.waiting + (this.#plainPool?.waiting ?? 0)
  }

  /** Proxy connections that wait for visitors, and lanes that have one. */
  get proxies(): { readonly idle: number; readonly busy: number } {
    const { pool } = this
    const plain = this.#plainPool
    return { idle: pool.idle + (plain?.idle ?? 0), busy: pool.busy + (plain?.busy ?? 0) }
  }

  /** The address that the agent is counted by. */
  get host(): string {
    return hostOf(this.#options.endpoint)
  }

  get closed(): boolean {
    return this.#closed
  }

  knows(extension: Extension): boolean {
    return this.#extensions.has(extension)
  }

  /** Answers the agent's Auth, asks for a first proxy connection as 1.x relays do, and serves until the end. */
  start(): void {
    const { endpoint, extensions } = this.#options
    writeMessage(endpoint, welcome(this.clientId, extensions))
    this.pool.open()
    this.#serve().catch((error: unknown) => this.#fail(error))
  }

  /**
   * Takes a proxy connection of this agent in. Throws ERR_PROXY_REFUSED, ERR_TOKEN_* or ERR_POOL_LIMIT; it is then the
   * caller's.
   */
  acceptProxy(proxy: Endpoint, ticket: string | undefined): void {
    const pool = this.#redeem(ticket)
    if (!proxy.encrypted && pool === this.pool && !this.knows('plain')) {
      throw new MillraceError('ERR_PROXY_REFUSED', 'it is plain, which was not negotiated')
    }
    const problem = this.identity.problem(Date.now(), proxy.remote)
    if (problem !== undefined) throw new MillraceError(problem)
    const { dataPlane, limits } = this.#options
    const carrier = this.knows('lane') ? new LaneCarrier(dataPlane, proxy, pool) : new OneShot(proxy, pool)
    if (pool.offer(carrier)) return
    carrier.destroy()
    throw new MillraceError('ERR_POOL_LIMIT', `${limits.pool}`)
  }

  /** To be called about once a second, with the time of `performance.now()`. */
  tick(now: number): void {
    const silence = now - this.#heardAt
    if (silence > (this.knows('ping2') ? ping2SilenceMs : silenceMs)) {
      this.close('silent')
      return
    }
    if (this.knows('ping2') && now - this.#pingedAt >= ping2IntervalMs) {
      this.#pingedAt = now
      this.#send({ type: 'Ping', Time: now })
    }
    this.pool.tick()
    this.#plainPool?.tick()
  }

  /** Gives up what the token does not allow any more: the session as a whole, or single tunnels. */
  enforce(): void {
    const { endpoint, registrar } = this.#options
    const problem = this.identity.problem(Date.now(), endpoint.remote)
    if (problem !== undefined) {
      this.close('revoked', problem)
      return
    }
    for (const tunnel of this.tunnels) {
      if (this.identity.permits(tunnel)) continue
      registrar.release(tunnel, 'revoked')
      if (this.knows('close')) this.#send({ type: 'TunnelClosed', Url: tunnel.url, Reason: 'revoked' })
    }
  }

  /** The relay itself was stopped for so long, ms: silence in that time says nothing about the agent. */
  pardon(stoppedMs: number): void {
    this.#heardAt += stoppedMs
  }

  /** Asks an agent that knows how to leave to come back later, and ends. */
  drain(): void {
    if (this.knows('drain')) this.#send({ type: 'Drain', Reason: 'the relay is shutting down' })
    this.close('shutdown')
  }

  /** Ends the session at once: tunnels down, pool closed. Idempotent. */
  close(reason: SessionEnd, detail = ''): void {
    if (this.#closed) return
    this.#closed = true
    this.identity.removeSession()
    const { endpoint, log, onClose, registrar } = this.#options
    for (const tunnel of this.tunnels) registrar.release(tunnel, reason)
    this.pool.close()
    this.#plainPool?.close()
    this.#tickets.clear()
    this.#plainTickets.clear()
    // A peer that doesn't read or answer gets no time to say goodbye.
    endpoint.destroy(reason === 'silent' || reason === 'overflow' || reason === 'flood' ? 'reset' : 'fin')
    log.info('agent.disconnected', { reason, ...(detail === '' ? {} : { detail }) })
    onClose(this)
  }

  async #serve(): Promise<void> {
    const { endpoint, limits } = this.#options
    const rate = new MessageRate(() => limits.controlMessageRate)
    for (;;) {
      const message = await readMessage(endpoint, maxFrame, Number.POSITIVE_INFINITY, rate.count)
      // Closed between the arrival of the message and now: nothing may be registered any more.
      if (this.#closed) return
      this.#heardAt = performance.now()
      if (message.type === 'ReqTunnel') await this.#openTunnels(message)
      else this.#receive(message)
    }
  }

  #receive(message: Exclude<Message, ReqTunnel> | UnknownMessage): void {
    switch (message.type) {
      case 'Ping':
        this.#send({ type: 'Pong', ...(message.Time === undefined ? {} : { Time: message.Time }) })
        break
      case 'Pong':
        break
      case 'CloseTunnel':
        this.#closeTunnel(message.Url)
        break
      case 'unknown':
        this.#skip(message.name)
        break
      case 'Auth':
      case 'AuthResp':
      case 'NewTunnel':
      case 'ReqProxy':
      case 'RegProxy':
      case 'StartProxy':
      case 'TunnelClosed':
      case 'Drain':
        this.#skip(message.type)
        break
    }
  }

  async #openTunnels(request: ReqTunnel): Promise<void> {
    try {
      await this.#options.registrar.register(this, request, ({ url, protocol }) => {
        this.#send({ type: 'NewTunnel', ReqId: request.ReqId, Url: url, Protocol: protocol, Error: '' })
      })
    } catch (error) {
      if (this.#closed) return
      if (!(error instanceof MillraceError)) throw error
      const { name: agent } = this.identity
      const fields = { audit: 'refused', agent, error: error.message }
      const { code } = error
      this.#options.refusals.tell({ event: 'tunnel.refused', level: 'info', code, fields, subject: agent })
      // 1.x relays leave the id out. Ours have several requests under way and must know which one failed.
      const ReqId = this.#options.extensions === undefined ? '' : request.ReqId
      this.#send({ type: 'NewTunnel', ReqId, Url: '', Protocol: '', Error: error.message })
    }
  }

  #closeTunnel(url: string): void {
    for (const tunnel of this.tunnels) {
      if (tunnel.url !== url) continue
      this.#options.registrar.release(tunnel, 'asked')
      this.#send({ type: 'TunnelClosed', Url: url, Reason: 'asked' })
      return
    }
  }

  /** The pool that a proxy connection with this ticket is for. */
  #redeem(ticket: string | undefined): ProxyPool {
    if (!this.knows('ticket')) return this.pool
    if (ticket === undefined) throw new MillraceError('ERR_PROXY_REFUSED', 'it has no ticket')
    if (this.#tickets.redeem(ticket)) return this.pool
    if (this.#plainPool !== undefined && this.#plainTickets.redeem(ticket)) return this.#plainPool
    throw new MillraceError('ERR_PROXY_REFUSED', 'its ticket is not valid')
  }

  #makePool(own: Pick<PoolSettings, 'request' | 'plainServesAll'>): ProxyPool {
    const most = maxRequested[this.knows('lane') ? 'lanes' : this.knows('ticket') ? 'tickets' : 'of1x']
    return new ProxyPool(new PoolSettings(this.#options.limits, most, own))
  }

  #requestProxies(count: number, tickets: TicketBook | undefined, plain = false): void {
    for (const message of proxyRequests(count, tickets, plain)) this.#send(message)
  }

  #skip(type: string): void {
    this.#skipped++
    if (this.#skipped <= maxSkippedLogged) this.#options.log.warn('control.skipped', { type })
  }

  #send(message: Message): void {
    if (!this.#closed) writeMessage(this.#options.endpoint, message)
  }

  #fail(error: unknown): void {
    const { reason, detail } = sessionEndOf(error)
    if (!this.#closed && error instanceof MillraceError && refusedEnds.has(reason)) {
      this.#options.refusals.count(error.code)
    }
    this.close(reason, detail)
  }
}
