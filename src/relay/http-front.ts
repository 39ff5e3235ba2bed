import type { Endpoint } from '../dataplane/types.ts'
import { defaultHttpLimits } from '../http/limits.ts'
import { pageTexts } from '../http/page-texts.ts'
import { renderPage } from '../http/pages.ts'
import { AddressCount } from '../net/address-group.ts'
import { type ExchangeContext, HttpExchange } from './http-exchange.ts'
import type { HttpFrontOptions } from './http-route.ts'
import { hostOf } from './origin.ts'

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
    const { pending, pendingPerAddress } = this.#context.limits
    const host = hostOf(visitor)
    const full = this.#pending.size >= pending || (!this.#closed && !this.#perAddress.take(host, pendingPerAddress))
    if (full || this.#closed) {
      if (!this.#closed) visitor.write(renderPage(pageTexts.frontFull))
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
