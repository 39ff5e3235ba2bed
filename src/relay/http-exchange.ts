import type { DirectionOptions, Endpoint, Join } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { hasCredentials } from '../http/basic-auth.ts'
import { forwardedHead } from '../http/forward.ts'
import type { HttpLimits } from '../http/limits.ts'
import { pageTexts, refusedPage } from '../http/page-texts.ts'
import { type Page, renderPage, unknownHostPage } from '../http/pages.ts'
import { refusalStatus } from '../http/refusal.ts'
import type { HttpRequest } from '../http/request.ts'
import type { RefusalCode } from '../observe/refusals.ts'
import { maxCarriers } from './carriers.ts'
import { type Answer, readAnswer, withField } from './http-answer.ts'
import { carryChunkedBody } from './http-chunks.ts'
import { detourErrors, detourPage } from './http-detour.ts'
import { readRequest } from './http-read.ts'
import type { HttpFrontOptions, HttpRoute } from './http-route.ts'
import { originOf } from './origin.ts'

/** The front's settings with every limit filled in. */
export interface ExchangeContext extends HttpFrontOptions {
  readonly limits: HttpLimits
}

/** What the front wants to know of an exchange; each is called once at most, `ended` exactly once. */
export interface ExchangeEvents {
  joined(): void
  /** The service has the request, and its answer is awaited before the join. */
  answering(): void
  ended(): void
}

/** One visitor's way from the first byte to the join. Whatever happens, both endpoints are used up at its end. */
export class HttpExchange {
  readonly #context: ExchangeContext
  readonly #visitor: Endpoint
  readonly #events: ExchangeEvents
  #proxy: Endpoint | undefined
  /** The route whose proxy connection has been had and has no join yet. */
  #unused: HttpRoute | undefined
  /** The visitor is not there any more, or not wanted: what is awaited for it is thrown away. */
  #gone = false
  #ended = false
  /** False once the visitor is known to have sent HEAD. */
  #pageBody = true

  constructor(context: ExchangeContext, visitor: Endpoint, events: ExchangeEvents) {
    this.#context = context
    this.#visitor = visitor
    this.#events = events
  }

  /** Begins. Never throws; failures are the visitor's answer. */
  start(): void {
    this.#run().catch((error: unknown) => this.#fail(error))
  }

  /** Gives up an exchange that has no join yet. */
  abandon(): void {
    this.#gone = true
    this.#proxy?.destroy('reset')
    this.#visitor.destroy('fin')
    this.#end()
  }

  async #run(): Promise<void> {
    const request = await readRequest(this.#visitor, this.#context.limits)
    if (request === undefined) return this.abandon()
    this.#pageBody = request.method !== 'HEAD'
    const host = request.authority?.host ?? ''
    if (host !== '' && !(await this.#isThere(host))) return
    const route = host === '' ? undefined : this.#context.lookup(host, this.#visitor)
    if (route === undefined) return this.#page(unknownHostPage(request.authority?.text ?? ''), host)
    if ('kind' in route) return this.#page(detourPage(route, request), host, detourErrors[route.kind])
    if (route.httpAuth !== '' && !hasCredentials(request.fields, route.httpAuth)) {
      return this.#page(pageTexts.credentialsWanted, host)
    }
    await this.#forward(request, route)
  }

  async #forward(request: HttpRequest, route: HttpRoute): Promise<void> {
    const visitor = this.#visitor
    // A FIN is no reason to stop: a client may send its request and close its sending side.
    visitor.onClosed((how) => {
      if (how === 'reset') this.abandon()
    })
    const proxy = await this.#openProxy(route)
    if (proxy === undefined) return
    const { local, remote } = originOf(visitor)
    const head = forwardedHead(request, {
      client: remote.family === 'unix' ? '' : remote.host,
      port: local.family === 'unix' ? 0 : local.port,
      scheme: this.#context.scheme,
      dropAuthorization: route.httpAuth !== '',
    })
    if (request.webSocket) return this.#upgrade(route, proxy, head)
    if (request.body.kind === 'chunked') return this.#joinChunked(route, proxy, head)
    if (request.body.bytes === 0 && this.#hsts !== '') return this.#joinAnswered(route, proxy, head)
    visitor.unread(head)
    this.#join(route, proxy, { maxBytes: head.length + request.body.bytes })
  }

  /** Waits for an agent that is expected back. False when the visitor has been answered, or left meanwhile. */
  async #isThere(host: string): Promise<boolean> {
    const leaving = new AbortController()
    const back = this.#context.awaitHost?.(host, leaving.signal)
    if (back === undefined) return true
    this.#visitor.onClosed((how) => {
      if (how !== 'reset') return
      leaving.abort()
      this.abandon()
    })
    try {
      await back
      return !this.#gone
    } catch (error) {
      this.#page(pageTexts.agentAway, host, error)
      return false
    }
  }

  /** Undefined when the visitor has been answered, or left meanwhile. */
  async #openProxy(route: HttpRoute): Promise<Endpoint | undefined> {
    try {
      const proxy = await route.openProxy(this.#visitor)
      if (this.#gone) {
        proxy.destroy('reset')
        route.onUnused(this.#visitor)
        return undefined
      }
      this.#proxy = proxy
      this.#unused = route
      return proxy
    } catch (error) {
      this.#page(proxyFailures[codeOf(error)] ?? pageTexts.agentGone, route.url, error)
      return undefined
    }
  }

  get #hsts(): string {
    return this.#context.hsts ?? ''
  }

  /** Only a 101 opens the way for what the visitor sends after its handshake. */
  async #upgrade(route: HttpRoute, proxy: Endpoint, head: Buffer): Promise<void> {
    proxy.write(head)
    const answer = await this.#answer(route, proxy, this.#context.limits.upgradeMs)
    if (answer === undefined) return
    proxy.unread(answer.head)
    const refused = answer.status !== 101
    this.#join(route, proxy, refused ? { maxBytes: 0 } : {}, head.length, refused)
  }

  /**
   * As a plain join, but the answer's head passes through here and gets its field. Requests with a body are spared
   * that, as it may have to flow first; a browser learns the field from the page that made it send one.
   */
  async #joinAnswered(route: HttpRoute, proxy: Endpoint, head: Buffer): Promise<void> {
    proxy.write(head)
    this.#events.answering()
    const waitMs = route.joinOptions.halfClosedIdleMs ?? this.#context.limits.upgradeMs
    const answer = await this.#answer(route, proxy, waitMs)
    if (answer === undefined) return
    proxy.unread(withField(answer.head, hstsField, this.#hsts))
    this.#join(route, proxy, { maxBytes: 0 }, head.length)
  }

  /** Undefined when the visitor has been answered, or left meanwhile. */
  async #answer(route: HttpRoute, proxy: Endpoint, waitMs: number): Promise<Answer | undefined> {
    try {
      const answer = await readAnswer(proxy, this.#context.limits, waitMs)
      return this.#gone ? undefined : answer
    } catch (error) {
      if (this.#gone) return undefined
      proxy.destroy('reset')
      const late = codeOf(error) === 'ERR_ENDPOINT_READ_TIMEOUT'
      this.#page(late ? pageTexts.serviceSlow : pageTexts.serviceUnclear, route.url, error)
      return undefined
    }
  }

  #joinChunked(route: HttpRoute, proxy: Endpoint, head: Buffer): void {
    const { limits, refusals } = this.#context
    const join = this.#join(route, proxy, { drive: 'caller' })
    proxy.write(head)
    carryChunkedBody({
      join,
      visitor: this.#visitor,
      proxy,
      limits,
      rate: route.joinOptions.aToB?.rate,
      ended: () => this.#ended,
    }).catch((error: unknown) => {
      if (refusalStatus(error) !== undefined) {
        refusals.tell({ event: 'http.body-refused', level: 'debug', code: codeOf(error), fields: { url: route.url } })
      }
      join.destroy()
    })
  }

  /**
   * `sentBefore` are bytes of this exchange that the proxy connection got before the join. `timed`: both sides may not be
   * silent for ever; a visitor could otherwise hold the service with a body that never comes.
   */
  #join(route: HttpRoute, proxy: Endpoint, aToB: DirectionOptions, sentBefore = 0, timed = true, attempt = 1): Join {
    const visitor = this.#visitor
    const rate = aToB.drive === 'caller' ? undefined : route.joinOptions.aToB?.rate
    const join = this.#context.dataPlane.join(visitor, proxy, {
      ...(timed ? { idleMs: this.#context.limits.idleMs } : {}),
      ...route.joinOptions,
      aToB: rate === undefined ? aToB : { rate, ...aToB },
      onEnd: (result) => {
        const whole = { ...result, aToB: result.aToB + BigInt(sentBefore) }
        route.joinOptions.onEnd?.(whole, join)
        if (result.reason === 'unreachable') {
          this.#unused = route
          // What drives the body itself has begun to do so.
          if (aToB.drive !== 'caller' && attempt < maxCarriers) void this.#move(route, aToB, timed, attempt + 1)
          else this.#page(pageTexts.agentGone, route.url)
          return
        }
        this.#end()
        route.onJoinEnd(whole, visitor)
      },
    })
    this.#unused = undefined
    this.#events.joined()
    if (!this.#ended) route.onJoin?.(join)
    return join
  }

  /** The visitor's lane was lost, and has taken nothing of it: it gets another, unseen. */
  async #move(route: HttpRoute, aToB: DirectionOptions, timed: boolean, attempt: number): Promise<void> {
    const visitor = this.#visitor
    visitor.onClosed((how) => {
      if (how === 'reset') this.abandon()
    })
    try {
      const proxy = await route.moveProxy(visitor)
      if (this.#gone) proxy.destroy('reset')
      else this.#join(route, proxy, aToB, 0, timed, attempt)
    } catch (error) {
      this.#page(proxyFailures[codeOf(error)] ?? pageTexts.agentGone, route.url, error)
    }
  }

  #fail(error: unknown): void {
    if (this.#gone) return
    const status = refusalStatus(error)
    if (status !== undefined && error instanceof MillraceError) {
      this.#page(refusedPage(status, error.message), '', error)
      return
    }
    this.#context.log.error('http.failed', { stack: error instanceof Error ? error.stack : String(error) })
    this.#proxy?.destroy('reset')
    this.#page(pageTexts.internalError, '', error)
  }

  /** The visitor's answer when there is no join. `subject` is the host or the tunnel's address, for the log. */
  #page(page: Page, subject: string, error?: unknown): void {
    if (this.#gone) return
    const { log, refusals } = this.#context
    const fields = { status: page.status, subject }
    if (error === undefined) log.debug('http.refused', fields)
    else {
      // What the relay has no room for is its operator's concern, as on a TCP tunnel; the rest is the visitor's.
      const level = page.status === 503 || page.status === 504 ? 'warn' : 'debug'
      refusals.tell({ event: 'http.refused', level, code: codeOf(error), fields })
    }
    const hsts = this.#hsts === '' ? [] : [`${hstsField}: ${this.#hsts}`]
    const lines = [...(page.fields ?? []), ...hsts]
    this.#visitor.write(renderPage({ ...page, fields: lines, body: this.#pageBody }))
    this.#visitor.destroy('fin')
    this.#end()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#unused?.onUnused(this.#visitor)
    this.#events.ended()
  }
}

/** Which page tells of a proxy connection that could not be had; others than these: `agentGone`. */
const proxyFailures: Readonly<Record<string, Page>> = {
  ERR_POOL_TIMEOUT: pageTexts.agentSlow,
  ERR_POOL_FULL: pageTexts.tunnelFull,
  ERR_JOIN_LIMIT: pageTexts.tunnelFull,
  ERR_RELAY_FULL: pageTexts.tunnelFull,
  ERR_ADDRESS_JOINS: pageTexts.tunnelFull,
  ERR_TOKEN_CONNECTIONS: pageTexts.tunnelFull,
}

const hstsField = 'Strict-Transport-Security'

const codeOf = (error: unknown): RefusalCode => (error instanceof MillraceError ? error.code : 'unknown')
