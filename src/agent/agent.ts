import { MillraceError } from '../errors.ts'
import { Backoff } from './backoff.ts'
import { Joins } from './joins.ts'
import { LocalServices } from './local-service.ts'
import { type AgentOptions, type AgentStatus, type AgentTimings, defaultTimings } from './options.ts'
import { RelayDialer } from './relay-dialer.ts'
import { Session, type SessionEnd } from './session.ts'
import { TunnelBook, targetName } from './tunnel-book.ts'
import { Visitors } from './visitors.ts'

/** Keeps tunnels up: one session after the other, with the same client id and the same addresses. */
export class Agent {
  readonly #options: AgentOptions
  readonly #timings: AgentTimings
  readonly #book: TunnelBook
  readonly #dialer: RelayDialer
  readonly #joins: Joins
  readonly #visitors: Visitors
  readonly #backoff: Backoff
  readonly #ending = new AbortController()
  readonly #firstUp: Promise<readonly string[]>
  #resolveFirstUp: (urls: readonly string[]) => void = () => undefined
  #rejectFirstUp: (error: MillraceError) => void = () => undefined
  #ended: Promise<MillraceError | undefined> | undefined
  #session: Session | undefined
  #wake: (() => void) | undefined
  #clientId = ''
  #everUp = false
  #status: Pick<AgentStatus, 'state' | 'lastLoss' | 'retryInMs' | 'rttMs'> = {
    state: 'connecting',
    lastLoss: '',
    retryInMs: 0,
    rttMs: undefined,
  }

  constructor(options: AgentOptions) {
    const { dataPlane, log } = options
    const timings = { ...defaultTimings, ...options.timings }
    this.#options = options
    this.#timings = timings
    this.#book = new TunnelBook(options.tunnels)
    this.#dialer = new RelayDialer({ dataPlane, relay: options.relay, trust: options.trust, dialMs: timings.dialMs })
    this.#joins = new Joins(() => this.#tellStatus())
    const services = new LocalServices(dataPlane, timings.localMs)
    this.#visitors = new Visitors({ dataPlane, log, services, joins: this.#joins })
    this.#backoff = new Backoff(timings.backoff)
    this.#firstUp = new Promise((resolve, reject) => {
      this.#resolveFirstUp = resolve
      this.#rejectFirstUp = reject
    })
    // Whoever only waits for `ended` must not be hit by an unhandled rejection.
    this.#firstUp.catch(() => undefined)
  }

  /**
   * Starts. Resolves with the public URLs once every tunnel is up for the first time, after as many attempts as that
   * takes. Rejects with ERR_AGENT_REFUSED (the relay said no), ERR_AGENT_TRUST (its certificate) or ERR_AGENT_STOPPED.
   */
  start(): Promise<readonly string[]> {
    this.#ended ??= this.#run()
    return this.#firstUp
  }

  /** Resolves at the end: undefined after `stop()`, the error when the relay refused. Never rejects. */
  get ended(): Promise<MillraceError | undefined> {
    return this.#ended ?? Promise.resolve(undefined)
  }

  /** What the agent does now. */
  get status(): AgentStatus {
    const tunnels = this.#book.live.map(({ url, spec }) => ({ url, target: targetName(spec) }))
    return { ...this.#status, tunnels, openJoins: this.#joins.open, totalJoins: this.#joins.total }
  }

  /**
   * Ends: no new visitors from now on. Joins have `graceMs` to finish (default 0), then they are aborted. Idempotent:
   * a second call, with a shorter grace, cuts the first one's short.
   */
  async stop(graceMs = 0): Promise<void> {
    this.#ending.abort()
    this.#session?.close()
    this.#wake?.()
    await this.#joins.drain(graceMs)
    await this.#ended
  }

  async #run(): Promise<MillraceError | undefined> {
    const error = await this.#sessions()
    this.#rejectFirstUp(error ?? new MillraceError('ERR_AGENT_STOPPED'))
    this.#setStatus({ state: 'stopped', retryInMs: 0 })
    return error
  }

  async #sessions(): Promise<MillraceError | undefined> {
    const { log } = this.#options
    for (;;) {
      if (this.#ending.signal.aborted) return undefined
      this.#setStatus({ state: 'connecting', retryInMs: 0 })
      const wasUp = this.#everUp
      const end = await this.#oneSession()
      if (end.kind === 'closed' || this.#ending.signal.aborted) return undefined
      const final = finalError(end, wasUp)
      const retryInMs = final === undefined ? this.#backoff.next() : undefined
      log.warn('agent.disconnected', { reason: end.reason, kind: end.kind, retryInMs })
      if (final !== undefined) return final
      this.#setStatus({ state: 'waiting', lastLoss: end.reason, retryInMs: retryInMs ?? 0, rttMs: undefined })
      await this.#sleep(retryInMs ?? 0)
    }
  }

  async #oneSession(): Promise<SessionEnd> {
    const session = new Session({
      agent: this.#options,
      timings: this.#timings,
      dialer: this.#dialer,
      book: this.#book,
      visitors: this.#visitors,
      clientId: this.#clientId,
      onWelcome: (clientId) => {
        this.#clientId = clientId
      },
      onTunnels: () => this.#tunnelsChanged(),
      onRoundTrip: (rttMs) => this.#setStatus({ rttMs }),
    })
    this.#session = session
    // A session is stable once its tunnels have been up for a while; one that is cut again and again is not, and must
    // not be retried at once for ever.
    const stable = setInterval(() => {
      if (this.#book.allUp) this.#backoff.reset()
    }, this.#timings.stableMs)
    stable.unref()
    try {
      const end = await session.run()
      this.#everUp ||= this.#status.state === 'online'
      return end
    } finally {
      clearInterval(stable)
      this.#session = undefined
    }
  }

  #tunnelsChanged(): void {
    if (this.#book.allUp) {
      this.#setStatus({ state: 'online', retryInMs: 0 })
      this.#resolveFirstUp(this.#book.live.map(({ url }) => url))
    } else {
      this.#tellStatus()
    }
  }

  #setStatus(change: Partial<AgentStatus>): void {
    this.#status = { ...this.#status, ...change }
    this.#tellStatus()
  }

  #tellStatus(): void {
    this.#options.onStatus?.(this.status)
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** The error that ends the agent, or undefined when it should try again. */
function finalError({ kind, reason }: SessionEnd, wasUp: boolean): MillraceError | undefined {
  if (kind === 'refused') return new MillraceError('ERR_AGENT_REFUSED', reason)
  // What was possible once may be again: an address can be taken for a while, a certificate be in exchange.
  if (wasUp) return undefined
  if (kind === 'tunnel-refused') return new MillraceError('ERR_AGENT_REFUSED', reason)
  if (kind === 'untrusted') return new MillraceError('ERR_AGENT_TRUST', reason)
  return undefined
}
