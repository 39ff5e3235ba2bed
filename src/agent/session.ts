import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { defaultAgentLimits } from '../limits/agent.ts'
import type { Refusals } from '../observe/refusals.ts'
import { printable } from '../printable.ts'
import { readMessage, writeMessage } from '../wire/codec.ts'
import { maxFrame, maxNameLength } from '../wire/limits.ts'
import type { Extension, Message, NewTunnel, ReqProxy, TunnelClosed, UnknownMessage } from '../wire/messages.ts'
import { plainExtensions, plainOf } from '../wire/plain.ts'
import { authenticate, type Welcome } from './authenticate.ts'
import { Heartbeat } from './heartbeat.ts'
import type { AgentOptions, AgentTimings, TunnelSpec } from './options.ts'
import { ProxyConnections } from './proxy-connections.ts'
import { reasonOf, trustProblem } from './reason.ts'
import type { RelayDialer } from './relay-dialer.ts'
import { type TunnelBook, targetName } from './tunnel-book.ts'
import { lackingFor } from './tunnel-request.ts'
import { TunnelRetries } from './tunnel-retries.ts'
import type { Visitors } from './visitors.ts'

/** Why a session ended. `untrusted`, `refused`: before it began. `closed`: we ended it. `drained`: the relay asked us to leave. */
export interface SessionEnd {
  readonly kind: 'lost' | 'drained' | 'untrusted' | 'refused' | 'tunnel-refused' | 'closed'
  readonly reason: string
}

/** What a session is made of; all but the client id is the agent's and outlives it. */
export interface SessionOptions {
  readonly agent: AgentOptions
  readonly timings: AgentTimings
  readonly dialer: RelayDialer
  readonly book: TunnelBook
  readonly visitors: Visitors
  readonly refusals: Refusals
  /** '' or the id of the last session. */
  readonly clientId: string
  /** All tunnels were refused before any session had one: the user should hear of it. */
  readonly everUp: boolean
  /** The relay has accepted the agent, under this id. */
  readonly onWelcome: (clientId: string) => void
  /** A tunnel came or went. */
  readonly onTunnels: () => void
  /** A ping was answered; ms. */
  readonly onRoundTrip: (rttMs: number) => void
}

const offered: readonly Extension[] = ['ticket', 'close', 'drain', 'ping2', 'tls', 'origin', 'terminate', 'access']

/** One control connection, from dialing to its end. */
export class Session {
  readonly #options: SessionOptions
  readonly #ending = new AbortController()
  #control: Endpoint | undefined
  #proxies: ProxyConnections | undefined
  #heartbeat: Heartbeat | undefined
  readonly #retries: TunnelRetries
  #welcome: Welcome | undefined
  #end: SessionEnd | undefined

  constructor(options: SessionOptions) {
    this.#options = options
    this.#retries = new TunnelRetries(options.timings.backoff)
  }

  /** Runs the session. Never rejects. */
  async run(): Promise<SessionEnd> {
    try {
      const { agent, book, dialer, timings, clientId, onWelcome } = this.#options
      const control = await dialer.connectControl(this.#ending.signal)
      this.#control = control
      const lanes: readonly Extension[] = agent.dataPlane.hasLanes && agent.lanes !== false ? ['lane'] : []
      const extensions = [...offered, ...plainExtensions(agent.plain), ...lanes]
      const welcome = await authenticate(control, { token: agent.token, clientId }, extensions, timings.authMs)
      if (!welcome.accepted) return { kind: 'refused', reason: welcome.reason }
      dialer.accepted()
      onWelcome(welcome.clientId)
      const lacking = book.specs.map((spec) => lackingFor(spec, welcome.extensions))
      if (lacking.length > 0 && !lacking.includes('')) return { kind: 'tunnel-refused', reason: lacking[0] ?? '' }
      this.#begin(control, welcome)
      for (;;) {
        const message = await readMessage(control, maxFrame, Number.POSITIVE_INFINITY)
        this.#heartbeat?.heard()
        this.#receive(control, message, welcome)
      }
    } catch (error) {
      return this.#end ?? endOf(error)
    } finally {
      this.#heartbeat?.stop()
      this.#retries.stop()
      this.#endProxies()
      this.#control?.destroy()
      this.#options.book.clear()
    }
  }

  /** Asks whether the relay is still there; the session is lost when nothing is heard of it for `probeMs`. */
  probe(): void {
    this.#heartbeat?.probe(this.#options.timings.probeMs)
  }

  /**
   * The book has other tunnels now: asks for those that are new, and gives up the addresses of those that are gone. A
   * relay that can't do that on a live session gets a new one.
   */
  change(added: readonly TunnelSpec[], gone: readonly string[]): void {
    const [control, welcome] = [this.#control, this.#welcome]
    if (control === undefined || welcome === undefined) return
    const { extended, extensions } = welcome
    if (!extensions.has('close')) {
      this.#finish({ kind: 'lost', reason: 'the relay learns of other tunnels only at a new session' })
      return
    }
    for (const Url of gone) this.#send(control, { type: 'CloseTunnel', Url })
    const { book } = this.#options
    for (const spec of added) {
      if (!this.#possible(spec, extensions)) continue
      const request = book.requestAgain(spec, { extended, plain: plainOf(extensions) })
      if (request !== undefined) this.#send(control, request)
    }
  }

  /** Ends the session; `run` resolves with `closed`. */
  close(): void {
    this.#finish({ kind: 'closed', reason: 'stopped' })
  }

  #begin(control: Endpoint, welcome: Welcome): void {
    const { agent, book, dialer, refusals, timings, visitors } = this.#options
    const { clientId, extended, extensions } = welcome
    this.#welcome = welcome
    const plain = plainOf(extensions)
    agent.log.info('agent.connected', {
      relay: dialer.relay.host,
      port: dialer.relay.port,
      way: dialer.way,
      extensions: [...extensions],
      plain,
    })
    this.#proxies = new ProxyConnections({
      ...(extensions.has('lane') && extensions.has('ticket') ? { lanes: agent.dataPlane } : {}),
      log: agent.log,
      dialer,
      transport: plain === true ? 'plain' : 'tls',
      clientId,
      visitors,
      find: (url) => book.find(url),
      refusals,
      maxWaiting: agent.limits?.waiting ?? defaultAgentLimits.waiting,
    })
    const timed = extensions.has('ping2')
    this.#heartbeat = new Heartbeat(timed ? timings.heartbeat2 : timings.heartbeat, {
      ping: () => this.#send(control, { type: 'Ping', ...(timed ? { Time: performance.now() } : {}) }),
      dead: () => this.#finish({ kind: 'lost', reason: 'nothing heard from the relay' }),
    })
    const possible = book.specs.filter((spec) => this.#possible(spec, extensions))
    for (const request of book.requests({ extended, plain }, possible)) this.#send(control, request)
  }

  #receive(control: Endpoint, message: Message | UnknownMessage, welcome: Welcome): void {
    const { extensions } = welcome
    switch (message.type) {
      case 'NewTunnel':
        this.#newTunnel(control, message, welcome)
        break
      case 'ReqProxy':
        this.#openProxies(message, extensions)
        break
      case 'Ping':
        this.#send(control, { type: 'Pong', ...(message.Time === undefined ? {} : { Time: message.Time }) })
        break
      case 'Pong':
        if (message.Time !== undefined) this.#options.onRoundTrip(Math.max(0, performance.now() - message.Time))
        break
      case 'TunnelClosed':
        this.#tunnelClosed(control, message, welcome)
        break
      case 'Drain':
        this.#finish({ kind: 'drained', reason: `the relay takes no more visitors: ${printable(message.Reason)}` })
        break
      case 'unknown':
        this.#skip(message.name, 'a type unknown here')
        break
      case 'Auth':
      case 'AuthResp':
      case 'ReqTunnel':
      case 'RegProxy':
      case 'StartProxy':
      case 'CloseTunnel':
        this.#skip(message.type, 'it has no business here')
        break
    }
  }

  #newTunnel(control: Endpoint, message: NewTunnel, welcome: Welcome): void {
    const { agent, book, onTunnels } = this.#options
    if (message.Error !== '') {
      this.#refused(control, message, welcome)
      return
    }
    const tunnel = book.opened(message)
    if (tunnel === undefined) {
      this.#skip(message.type, 'a tunnel that nobody asked for')
      if (welcome.extensions.has('close')) this.#send(control, { type: 'CloseTunnel', Url: message.Url })
      return
    }
    agent.log.info('tunnel.up', { url: tunnel.url, protocol: tunnel.protocol, target: targetName(tunnel.spec) })
    onTunnels()
  }

  /** What the relay can't give at all has its state, and doesn't keep the others from theirs. */
  #possible(spec: TunnelSpec, extensions: ReadonlySet<Extension>): boolean {
    const reason = lackingFor(spec, extensions)
    if (reason === '') return true
    this.#options.book.impossible(spec, reason)
    this.#options.agent.log.warn('tunnel.refused', { target: targetName(spec), reason })
    return false
  }

  /** One tunnel that can't be had now is asked for again; the others stay. */
  #refused(control: Endpoint, message: NewTunnel, welcome: Welcome): void {
    const { agent, book, everUp, onTunnels } = this.#options
    const reason = printable(message.Error, maxNameLength)
    const spec = book.refused(message.ReqId, reason)
    const nothing = book.settled && book.live.length === 0
    // A relay that doesn't say what it refuses, as 1.x ones, ends a session that has no tunnel.
    if (nothing && (!everUp || message.ReqId === '')) {
      this.#finish({ kind: 'tunnel-refused', reason })
      return
    }
    if (spec === undefined) {
      this.#skip(message.type, `an answer to no request: ${reason}`)
      return
    }
    // A relay that repeats itself changes nothing: one retry is enough.
    if (this.#retries.has(spec)) return
    const retryInMs = this.#askAgain(control, spec, welcome)
    agent.log.warn('tunnel.refused', { target: targetName(spec), reason, retryInMs })
    onTunnels()
  }

  #tunnelClosed(control: Endpoint, message: TunnelClosed, welcome: Welcome): void {
    const { agent, book, onTunnels } = this.#options
    const tunnel = book.closed(message.Url)
    if (tunnel === undefined) return
    agent.log.warn('tunnel.down', { url: tunnel.url, reason: printable(message.Reason, maxNameLength) })
    onTunnels()
    // Nothing is left to serve: come back and ask again, at the pace of any other loss.
    if (book.live.length === 0) this.#finish({ kind: 'lost', reason: 'the relay closed the tunnel' })
    else if (!book.isUp(tunnel.spec) && !this.#retries.has(tunnel.spec)) this.#askAgain(control, tunnel.spec, welcome)
  }

  #askAgain(control: Endpoint, spec: TunnelSpec, { extended, extensions }: Welcome): number {
    const { book } = this.#options
    return this.#retries.plan(spec, () => {
      // Whose refusal it was may have been a guess.
      const isUp = !extended && book.isUp(spec)
      const request = isUp ? undefined : book.requestAgain(spec, { extended, plain: plainOf(extensions) })
      if (request !== undefined) this.#send(control, request)
    })
  }

  /** A relay may send as much of this as it likes. */
  #skip(type: string, why: string): void {
    const fields = { type, error: why }
    this.#options.refusals.tell({ event: 'agent.skipped', level: 'warn', code: 'ERR_AGENT_PROTOCOL', fields })
  }

  #endProxies(): void {
    if (this.#end?.kind !== 'drained') {
      this.#proxies?.close()
      return
    }
    const tunnels = new Map(this.#options.book.live.map((tunnel) => [tunnel.url, tunnel]))
    this.#proxies?.retire((url) => tunnels.get(url))
  }

  #openProxies(message: ReqProxy, extensions: ReadonlySet<Extension>): void {
    const transport = message.Plain === true && plainOf(extensions) === 'passthrough' ? 'passthrough' : undefined
    if (!extensions.has('ticket')) this.#proxies?.open(undefined)
    else for (const ticket of message.Tickets ?? []) this.#proxies?.open(ticket, transport)
  }

  #send(control: Endpoint, message: Message): void {
    writeMessage(control, message)
  }

  #finish(end: SessionEnd): void {
    this.#end ??= end
    this.#ending.abort()
    this.#control?.destroy()
  }
}

function endOf(error: unknown): SessionEnd {
  const untrusted = trustProblem(error)
  if (untrusted !== '') return { kind: 'untrusted', reason: untrusted }
  if (error instanceof MillraceError && error.code === 'ERR_ENDPOINT_ENDED') {
    return { kind: 'lost', reason: 'the relay closed the connection' }
  }
  return { kind: 'lost', reason: reasonOf(error) }
}
