import { isDeepStrictEqual } from 'node:util'
import { MillraceError } from '../errors.ts'
import { defaultAgentLimits } from '../limits/agent.ts'
import { Refusals } from '../observe/refusals.ts'
import { Backoff } from './backoff.ts'
import { Joins } from './joins.ts'
import { LocalServices } from './local-service.ts'
import { type AgentOptions, type AgentStatus, type AgentTimings, defaultTimings, type TunnelSpec } from './options.ts'
import { untrusted } from './reason.ts'
import { RelayDialer } from './relay-dialer.ts'
import { Session, type SessionEnd } from './session.ts'
import { type Disturbance, Surroundings } from './surroundings.ts'
import { TunnelBook, targetLine, targetName } from './tunnel-book.ts'
import { Visitors } from './visitors.ts'

/** Keeps tunnels up: one session after the other, with the same client id and the same addresses. */
export class Agent {
  readonly #options: AgentOptions
  readonly #timings: AgentTimings
  readonly #book: TunnelBook
  readonly #dialer: RelayDialer
  readonly #joins: Joins
  readonly #visitors: Visitors
  readonly #refusals: Refusals
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
  #drainedAt = Number.NEGATIVE_INFINITY
  #status: Pick<AgentStatus, 'state' | 'lastLoss' | 'retryInMs' | 'rttMs'> = {
    state: 'connecting',
    lastLoss: '',
    retryInMs: 0,
    rttMs: undefined,
  }

  constructor(options: AgentOptions) {
    const { dataPlane, log } = options
    const { tlsMinVersion = 'TLSv1.2' } = options
    const timings = { ...defaultTimings, ...options.timings }
    this.#options = options
    this.#refusals = new Refusals(log)
    this.#timings = timings
    this.#book = new TunnelBook(options.tunnels)
    this.#dialer = new RelayDialer({
      dataPlane,
      log,
      relays: [options.relay, ...(options.otherRelays ?? [])],
      trust: options.trust,
      minVersion: tlsMinVersion,
      proxy: options.proxy ?? (() => undefined),
      dialMs: timings.dialMs,
    })
    this.#joins = new Joins(() => this.#tellStatus())
    const services = new LocalServices(dataPlane, timings.localMs)
    const { visitors: maxVisitors = defaultAgentLimits.visitors } = options.limits ?? {}
    this.#visitors = new Visitors({
      dataPlane,
      log,
      services,
      joins: this.#joins,
      refusals: this.#refusals,
      maxVisitors,
      tlsMinVersion,
    })
    this.#backoff = new Backoff(timings.backoff)
    this.#firstUp = new Promise((resolve, reject) => {
      this.#resolveFirstUp = resolve
      this.#rejectFirstUp = reject
    })
    // Whoever only waits for `ended` must not be hit by an unhandled rejection.
    this.#firstUp.catch(() => undefined)
  }

  /**
   * Starts. Resolves with the public URLs once every tunnel is up for the first time or, where others are, refused for
   * now; after as many attempts as that takes. Rejects with ERR_AGENT_REFUSED (the relay said no), ERR_AGENT_TRUST (its certificate) or ERR_AGENT_STOPPED.
   */
  start(): Promise<readonly string[]> {
    this.#ended ??= this.#run()
    return this.#firstUp
  }

  /** Resolves at the end: undefined after `stop()`, the error when the relay refused. Never rejects. */
  get ended(): Promise<MillraceError | undefined> {
    return this.#ended ?? Promise.resolve(undefined)
  }

  /**
   * Wants these tunnels from now on, in place of those before: the ones that stay, and running joins, notice nothing.
   * Returns how many came and went. Throws ERR_OPTION when there are none.
   */
  setTunnels(specs: readonly TunnelSpec[]): { readonly added: number; readonly removed: number } {
    if (specs.length === 0) throw new MillraceError('ERR_OPTION', 'an agent without tunnels has nothing to do')
    const staying = new Set<TunnelSpec>()
    const added = specs.filter((spec) => {
      const same = this.#book.specs.find((old) => !staying.has(old) && isDeepStrictEqual(old, spec))
      if (same !== undefined) staying.add(same)
      return same === undefined
    })
    const gone = this.#book.specs.filter((spec) => !staying.has(spec))
    const urls = gone.flatMap((spec) => this.#book.remove(spec))
    for (const spec of added) this.#book.add(spec)
    this.#session?.change(added, urls)
    this.#tunnelsChanged()
    return { added: added.length, removed: gone.length }
  }

  /** What the agent does now. */
  get status(): AgentStatus {
    const failed = this.#book.failed.map(({ spec, reason }) => ({ target: targetName(spec), reason }))
    const tunnels = this.#book.live.map(({ url, spec }) => ({ url, target: targetLine(spec) }))
    return {
      ...this.#status,
      relay: this.#dialer.way,
      tunnels,
      failed,
      openJoins: this.#joins.open,
      totalJoins: this.#joins.total,
    }
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
    await this.#recall()
    const telling = setInterval(() => this.#refusals.tick(), 1_000).unref()
    const surroundings = new Surroundings({ onChange: (what) => this.disturbed(what) })
    const error = await this.#sessions()
    surroundings.stop()
    clearInterval(telling)
    await this.#options.state?.close()
    this.#rejectFirstUp(error ?? new MillraceError('ERR_AGENT_STOPPED'))
    this.#setStatus({ state: 'stopped', retryInMs: 0 })
    return error
  }

  /** Becomes the agent that it was before its restart. Not being able to is no reason not to run. */
  async #recall(): Promise<void> {
    const { log, state } = this.#options
    try {
      const memory = await state?.open()
      if (memory === undefined) return
      this.#clientId = memory.clientId
      this.#book.restore(memory.addresses)
    } catch (error) {
      log.warn('agent.state', { error: String(error) }, 'nothing will be kept over a restart')
    }
  }

  #remember(): void {
    const { log, state } = this.#options
    state?.save({ clientId: this.#clientId, addresses: this.#book.addresses }).catch((error: unknown) => {
      log.warn('agent.state', { error: String(error) }, 'the addresses could not be kept')
    })
  }

  /**
   * The machine has slept or changed its network, as the agent finds out by itself: what looked alive may be dead, and
   * what was unreachable may be within reach.
   */
  disturbed(what: Disturbance): void {
    this.#options.log.info('agent.disturbed', { what })
    this.#backoff.reset()
    this.#session?.probe()
    this.#wake?.()
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
      if (end.kind === 'drained') this.#leftInGoodOrder()
      const retryInMs = final === undefined ? this.#backoff.next() : undefined
      log.warn('agent.disconnected', { reason: end.reason, kind: end.kind, retryInMs })
      if (final !== undefined) return final
      this.#setStatus({ state: 'waiting', lastLoss: end.reason, retryInMs: retryInMs ?? 0, rttMs: undefined })
      await this.#sleep(retryInMs ?? 0)
    }
  }

  /** Where we were all was well: no reason to wait, unless we are sent on and on. */
  #leftInGoodOrder(): void {
    const now = performance.now()
    if (now - this.#drainedAt > this.#timings.backoff.minMs) this.#backoff.reset()
    this.#drainedAt = now
  }

  async #oneSession(): Promise<SessionEnd> {
    const session = new Session({
      agent: this.#options,
      timings: this.#timings,
      dialer: this.#dialer,
      book: this.#book,
      visitors: this.#visitors,
      refusals: this.#refusals,
      clientId: this.#clientId,
      everUp: this.#everUp,
      onWelcome: (clientId) => {
        this.#clientId = clientId
        this.#remember()
      },
      onTunnels: () => this.#tunnelsChanged(),
      onRoundTrip: (rttMs) => this.#setStatus({ rttMs }),
    })
    this.#session = session
    // A session is stable once its tunnels have been up for a while; one that is cut again and again is not, and must
    // not be retried at once for ever.
    const stable = setInterval(() => {
      if (this.#book.settled && this.#book.live.length > 0) this.#backoff.reset()
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
    this.#remember()
    if (this.#book.settled && this.#book.live.length > 0) {
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
      const done = (): void => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#wake = done
    })
  }
}

/** The error that ends the agent, or undefined when it should try again. */
function finalError({ kind, reason }: SessionEnd, wasUp: boolean): MillraceError | undefined {
  if (kind === 'refused') return new MillraceError('ERR_AGENT_REFUSED', reason)
  // What was possible once may be again: an address can be taken for a while, a certificate be in exchange.
  if (wasUp) return undefined
  if (kind === 'tunnel-refused') return new MillraceError('ERR_AGENT_REFUSED', reason)
  if (kind === 'untrusted') return untrusted(reason)
  return undefined
}
