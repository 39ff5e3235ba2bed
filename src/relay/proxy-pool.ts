import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { encodeMessage } from '../wire/codec.ts'
import type { Carriers, OnCarrier, Passenger, Waiter } from './carriers.ts'
import { Demand } from './demand.ts'

/** Settings of a {@link ProxyPool}. */
export interface ProxyPoolOptions {
  /** Most proxy connections that wait for visitors. */
  readonly limit: number
  /** Most visitors that wait for proxy connections. */
  readonly waiters: number
  /** How long a visitor waits, ms. */
  readonly waiterTimeoutMs: number
  /**
   * Most requests that may be open at once. For 1.x agents few enough that they fit one TLS record: many small frames
   * written at once could otherwise be split in the midst of one.
   */
  readonly maxRequested: number
  /** Asks the agent for so many more. Never called from within {@link ProxyPool.carry}. */
  readonly request: (count: number) => void
  /** True while plain proxy connections are good for all tunnels of this agent. Default never. */
  readonly plainServesAll?: () => boolean
}

/** A request that brought no proxy connection for so long is taken for lost, ms. */
const lostAfterMs = 5_000

/**
 * While nobody waits, the pool is refilled once this share of its reserve is gone: one message, and one wake-up of the
 * agent, for many proxy connections.
 */
const refillShare = 0.25

/**
 * The proxy connections of one agent that wait for visitors, and the visitors that wait for proxy connections; one of
 * the two is always empty. Plain connections serve only tunnels that allow them, so the two kinds lie apart.
 * Dead connections leave at once and are never handed out. The youngest is handed out first: it is the one that a
 * middlebox has least likely forgotten. Each serves one visitor: whoever gets one has `StartProxy` written on it.
 */
export class ProxyPool implements Carriers {
  readonly #options: ProxyPoolOptions
  /** Oldest first. */
  readonly #encrypted: Endpoint[] = []
  readonly #plain: Endpoint[] = []
  /** In order of arrival, which is the order of their deadlines too. */
  readonly #waiters = new Set<Waiter>()
  /** When each request that is still open was sent, oldest first. */
  readonly #requested: number[] = []
  readonly #demand = new Demand()
  #timer: NodeJS.Timeout | undefined
  #refillPlanned = false
  #closed = false

  constructor(options: ProxyPoolOptions) {
    this.#options = options
  }

  /** Proxy connections that wait. */
  get idle(): number {
    return this.#encrypted.length + this.#plain.length
  }

  /** Visitors that wait. */
  get waiting(): number {
    return this.#waiters.size
  }

  /** Asks for the first proxy connections. */
  open(): void {
    this.#refill(false)
  }

  carry(passenger: Passenger, onCarrier: OnCarrier): Waiter | undefined {
    if (this.#closed) {
      onCarrier(new MillraceError('ERR_POOL_CLOSED'))
      return undefined
    }
    this.#demand.count()
    const proxy = (passenger.plainAllowed ? this.#plain.pop() : undefined) ?? this.#encrypted.pop()
    if (proxy !== undefined) {
      this.#planRefill()
      handOver(proxy, passenger, onCarrier)
      return undefined
    }
    const { waiters, waiterTimeoutMs } = this.#options
    if (this.#waiters.size >= waiters) {
      onCarrier(new MillraceError('ERR_POOL_FULL', `${waiters}`))
      return undefined
    }
    const waiter = { onCarrier, passenger, deadline: performance.now() + waiterTimeoutMs }
    this.#waiters.add(waiter)
    this.#timer ??= setTimeout(this.#expireWaiters, waiterTimeoutMs)
    this.#planRefill()
    return waiter
  }

  cancel(waiter: Waiter): void {
    this.#waiters.delete(waiter)
  }

  /**
   * Takes in a proxy connection that the agent opened. False: there is no room (ERR_POOL_LIMIT) or the pool is closed;
   * the caller still owns it.
   */
  offer(proxy: Endpoint): boolean {
    this.#requested.shift()
    if (this.#closed) return false
    for (const waiter of this.#waiters) {
      if (!proxy.encrypted && !waiter.passenger.plainAllowed) continue
      this.#waiters.delete(waiter)
      handOver(proxy, waiter.passenger, waiter.onCarrier)
      if (this.#waiters.size > this.#requested.length) this.#planRefill()
      return true
    }
    if (this.idle >= this.#options.limit) return false
    const kind = proxy.encrypted ? this.#encrypted : this.#plain
    kind.push(proxy)
    proxy.onClosed(() => {
      const index = kind.indexOf(proxy)
      // A visitor has it.
      if (index === -1) return
      kind.splice(index, 1)
      // The next visitor or tick asks for another: at once, an agent that drops each one would keep us spinning.
      proxy.destroy()
    })
    return true
  }

  /** To be called about once a second: forgets lost requests, lets go what nobody needs any more, asks for more. */
  tick(): void {
    const lost = performance.now() - lostAfterMs
    while (this.#requested[0] !== undefined && this.#requested[0] < lost) this.#requested.shift()
    this.#demand.tick()
    // Twice the need is kept, so that a pool does not breathe in and out with each tick.
    for (let surplus = this.idle - 2 * this.#demand.spare(this.#options.limit); surplus > 0; surplus--) {
      const proxy = this.#encrypted.shift() ?? this.#plain.shift()
      proxy?.destroy()
    }
    this.#refill(false)
  }

  /** Ends all waiting: visitors get ERR_POOL_CLOSED, proxy connections are closed. Those handed out live on. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const { onCarrier } of waiters) onCarrier(new MillraceError('ERR_POOL_CLOSED'))
    for (const kind of [this.#encrypted, this.#plain]) {
      for (const proxy of kind.splice(0)) proxy.destroy()
    }
  }

  /** One request for all visitors of a turn: they come in batches. */
  #planRefill(): void {
    if (this.#refillPlanned) return
    this.#refillPlanned = true
    queueMicrotask(() => {
      this.#refillPlanned = false
      this.#refill(true)
    })
  }

  /** `batched`: not for a few, unless somebody waits for them. */
  #refill(batched: boolean): void {
    if (this.#closed) return
    const { limit, maxRequested, plainServesAll, request } = this.#options
    const spare = this.#demand.spare(limit)
    const useful = this.#encrypted.length + (plainServesAll?.() === true ? this.#plain.length : 0)
    const wanted = this.#waiters.size + spare - useful
    const missing = Math.min(wanted, maxRequested) - this.#requested.length
    if (missing <= 0) return
    if (batched && this.#waiters.size === 0 && missing < spare * refillShare) return
    const now = performance.now()
    for (let i = 0; i < missing; i++) this.#requested.push(now)
    request(missing)
  }

  readonly #expireWaiters = (): void => {
    this.#timer = undefined
    const now = performance.now()
    for (const waiter of this.#waiters) {
      // Timers may fire a fraction of a millisecond early.
      const left = waiter.deadline - now
      if (left > 1) {
        this.#timer = setTimeout(this.#expireWaiters, left)
        break
      }
      this.#waiters.delete(waiter)
      waiter.onCarrier(new MillraceError('ERR_POOL_TIMEOUT', `${this.#options.waiterTimeoutMs}`))
    }
  }
}

function handOver(proxy: Endpoint, { start }: Passenger, onCarrier: OnCarrier): void {
  proxy.write(encodeMessage(start()))
  onCarrier(proxy)
}
