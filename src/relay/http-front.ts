import type { Endpoint } from '../dataplane/types.ts'
import type { ErrorCode } from '../errors.ts'
import { defaultHttpLimits } from '../http/limits.ts'
import { pageTexts } from '../http/page-texts.ts'
import { renderPage } from '../http/pages.ts'
import { formatAddress } from '../net/address.ts'
import { AddressCount } from '../net/address-group.ts'
import { type ExchangeContext, HttpExchange } from './http-exchange.ts'
import type { HttpFrontOptions } from './http-route.ts'
import { hostOf, originOf } from './origin.ts'

export type { HttpFrontOptions, HttpRoute } from './http-route.ts'

/**
 * Serves one HTTP request on each public connection: finds the tunnel by Host, lets in who may, forwards the head with
 * `Connection: close` and joins. Nothing behind the request's body reaches the service, so what one visitor sends can't
 * become another request there.
 */
export class HttpFront {
  #context: ExchangeContext
  /** Exchanges before their join: what is waited for here ends when the front closes. */
  readonly #pending = new Set<HttpExchange>()
  /** Those whose request the service has: they may take their time, but have no join that could be aborted. */
  readonly #answering = new Set<HttpExchange>()
  readonly #perAddress = new AddressCount()
  #active = 0
  #closed = false

  constructor(options: HttpFrontOptions) {
    this.#context = { ...options, limits: { ...defaultHttpLimits, ...options.limits } }
  }

  /** Replaces what may change; visitors that are there already keep what they came by. */
  configure({ hsts, limits }: Pick<HttpFrontOptions, 'limits' | 'hsts'>): void {
    const { hsts: _, ...rest } = this.#context
    this.#context = { ...rest, limits: { ...defaultHttpLimits, ...limits }, ...(hsts === undefined ? {} : { hsts }) }
  }

  /** Visitors that are being served: heads awaited, proxy connections awaited, and joins. */
  get active(): number {
    return this.#active
  }

  /** Of these, those whose request no service has got yet. */
  get pending(): number {
    return this.#pending.size
  }

  /** Takes a visitor over. Never throws. */
  serve(visitor: Endpoint): void {
    const host = hostOf(visitor)
    const problem = this.#closed ? undefined : this.#problem(host)
    if (this.#closed || problem !== undefined) {
      if (problem !== undefined) {
        visitor.write(renderPage(pageTexts.frontFull))
        const fields = { remote: formatAddress(originOf(visitor).remote) }
        this.#context.refusals.tell({ event: 'visitor.refused', level: 'warn', code: problem, fields })
      }
      visitor.destroy('fin')
      return
    }
    const through = (): void => {
      if (this.#pending.delete(exchange)) this.#perAddress.free(host)
    }
    const exchange = new HttpExchange(this.#context, visitor, {
      joined: () => {
        through()
        this.#answering.delete(exchange)
      },
      answering: () => {
        through()
        this.#answering.add(exchange)
      },
      ended: () => {
        through()
        this.#answering.delete(exchange)
        this.#active -= 1
      },
    })
    this.#active += 1
    this.#pending.add(exchange)
    exchange.start()
  }

  /** Why a visitor is not even listened to. Without a reason it is counted. */
  #problem(host: string): ErrorCode | undefined {
    const { pending, pendingPerAddress } = this.#context.limits
    if (this.#pending.size >= pending) return 'ERR_VISITOR_LIMIT'
    return this.#perAddress.take(host, pendingPerAddress) ? undefined : 'ERR_ADDRESS_LIMIT'
  }

  /** Serves no one any more and lets go of visitors that have no join yet. Joins go on. Idempotent. */
  close(): void {
    this.#closed = true
    for (const exchange of this.#pending) exchange.abandon()
  }

  /** Lets go of all that have no join, those whose service has the request already included. */
  abort(): void {
    this.close()
    for (const exchange of this.#answering) exchange.abandon()
  }
}
