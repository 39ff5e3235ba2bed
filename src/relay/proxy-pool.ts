import { MillraceError } from '../errors.ts'
import type { Carriers, OnCarrier, Passenger, Waiter } from './carriers.ts'
import { Demand } from './demand.ts'
import { IdleProxies } from './idle-proxies.ts'
import type { CarrierEvents, ProxyCarrier } from './proxy-carriers.ts'

/** Settings of a {@link ProxyPool}. */
export interface ProxyPoolOptions {
  /** Most proxy connections that wait for visitors. */
  readonly limit: number
  /** Fewest that do, once they are open. Default 1. */
  readonly floor?: number
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
  /** A monotonic clock in ms. Default `performance.now`. */
  readonly now?: () => number
}

/** A request that brought no proxy connection for so long is taken for lost, ms. */
const lostAfterMs = 5_000

/** What is more than the need and has waited for so long is let go, ms. */
const idleMs = 60_000

/**
 * While nobody waits, the pool is refilled once this share of its reserve is gone: one message, and one wake-up of the
 * agent, for many proxy connections.
 */
const refillShare = 0.25

/**
 * The proxy connections of one agent that wait for visitors, and the visitors that wait for proxy connections; one of
 * the two is always empty. Plain connections serve only tunnels that allow them, so the two kinds lie apart.
 * How many are kept follows demand. One-shot ones serve one visitor, lanes come back when theirs is done.
 */
export class ProxyPool implements Carriers, CarrierEvents {
  readonly #options: ProxyPoolOptions
  readonly #encrypted = new IdleProxies()
  readonly #plain = new IdleProxies()
  /** In order of arrival, which is the order of their deadlines too. */
  readonly #waiters = new Set<Waiter>()
  /** When each request that is still open was sent, oldest first. */
  readonly #requested: number[] = []
  readonly #demand: Demand
  readonly #now: () => number
  /** Carriers with visitors that will come back. */
  #busy = 0
  #timer: NodeJS.Timeout | undefined
  #refillPlanned = false
  #closed = false

  constructor(options: ProxyPoolOptions) {
    const { floor = 1, now = () => performance.now() } = options
    this.#options = options
    this.#now = now
    this.#demand = new Demand({ floor, now })
  }

  /** Proxy connections that wait. */
  get idle(): number {
    return this.#encrypted.size + this.#plain.size
  }

  /** Lanes that have visitors. */
  get busy(): number {
    return this.#busy
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
    const carrier = (passenger.plainAllowed ? this.#plain.take() : undefined) ?? this.#encrypted.take()
    if (carrier !== undefined) {
      this.#planRefill()
      this.#handOver(carrier, passenger, onCarrier)
      return undefined
    }
    const { waiters, waiterTimeoutMs } = this.#options
    if (this.#waiters.size >= waiters) {
      onCarrier(new MillraceError('ERR_POOL_FULL', `${waiters}`))
      return undefined
    }
    const waiter = { onCarrier, passenger, deadline: this.#now() + waiterTimeoutMs }
    this.#waiters.add(waiter)
    this.#timer ??= setTimeout(this.#expireWaiters, waiterTimeoutMs)
    this.#planRefill()
    return waiter
  }

  cancel(waiter: Waiter): void {
    this.#waiters.delete(waiter)
  }

  /**
   * Takes in what the agent opened, of which this pool is told. False: there is no room (ERR_POOL_LIMIT) or the pool is
   * closed; the caller still owns it.
   */
  offer(carrier: ProxyCarrier): boolean {
    const now = this.#now()
    const askedAt = this.#requested.shift()
    if (askedAt !== undefined) this.#demand.opened(now - askedAt)
    return this.#takeIn(carrier, now)
  }

  free(carrier: ProxyCarrier): void {
    this.#left()
    if (!this.#takeIn(carrier, this.#now())) carrier.destroy()
  }

  dead(carrier: ProxyCarrier): void {
    // The next visitor or tick asks for another: at once, an agent that drops each one would keep us spinning.
    if (this.#encrypted.remove(carrier) || this.#plain.remove(carrier)) carrier.destroy()
    else if (carrier.returns) this.#left()
  }

  /** To be called about once a second: forgets lost requests, lets go what nobody needs any more, asks for more. */
  tick(): void {
    const now = this.#now()
    while (this.#requested[0] !== undefined && this.#requested[0] < now - lostAfterMs) this.#requested.shift()
    this.#demand.tick()
    const spare = this.#demand.spare(this.#options.limit)
    // Twice the need is kept for a while, so that a pool does not breathe in and out with each tick.
    while (this.idle > 2 * spare && this.#drop());
    while (this.idle > spare && this.#drop(now - idleMs));
    this.#refill(false)
  }

  /** Ends all waiting: visitors get ERR_POOL_CLOSED, proxy connections are closed. Those handed out live on. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const { onCarrier } of waiters) onCarrier(new MillraceError('ERR_POOL_CLOSED'))
    this.#encrypted.clear()
    this.#plain.clear()
  }

  #handOver(carrier: ProxyCarrier, passenger: Passenger, onCarrier: OnCarrier): void {
    if (carrier.returns) this.#busy++
    onCarrier(carrier.start(passenger.start()))
  }

  /** A lane's visitor is done, one way or another. */
  #left(): void {
    this.#busy--
    this.#demand.returned()
  }

  #takeIn(carrier: ProxyCarrier, now: number): boolean {
    if (this.#closed || !carrier.usable) return false
    for (const waiter of this.#waiters) {
      if (!carrier.encrypted && !waiter.passenger.plainAllowed) continue
      this.#waiters.delete(waiter)
      this.#handOver(carrier, waiter.passenger, waiter.onCarrier)
      if (this.#waiters.size > this.#requested.length) this.#planRefill()
      return true
    }
    if (this.idle >= this.#options.limit) return false
    const kind = carrier.encrypted ? this.#encrypted : this.#plain
    kind.add(carrier, now)
    return true
  }

  /** Those that fewer tunnels can use go first. */
  #drop(before?: number): boolean {
    const kinds = this.#plainServesAll ? [this.#encrypted, this.#plain] : [this.#plain, this.#encrypted]
    return kinds.some((kind) => kind.drop(before))
  }

  get #plainServesAll(): boolean {
    return this.#options.plainServesAll?.() === true
  }

  /** One request for all visitors of a turn: they come in batches. */
  #planRefill(): void {
    if (this.#refillPlanned || this.#missing(true) === 0) return
    this.#refillPlanned = true
    queueMicrotask(() => {
      this.#refillPlanned = false
      this.#refill(true)
    })
  }

  #refill(batched: boolean): void {
    if (this.#closed) return
    const missing = this.#missing(batched)
    if (missing === 0) return
    const now = this.#now()
    for (let i = 0; i < missing; i++) this.#requested.push(now)
    this.#options.request(missing)
  }

  /** How many to ask for. `batched`: not for a few, unless somebody waits for them. */
  #missing(batched: boolean): number {
    const { limit, maxRequested } = this.#options
    const spare = this.#demand.spare(limit)
    const useful = this.#encrypted.size + (this.#plain.size > 0 && this.#plainServesAll ? this.#plain.size : 0)
    const wanted = this.#waiters.size + spare - useful
    const missing = Math.min(wanted, maxRequested) - this.#requested.length
    const few = batched && this.#waiters.size === 0 && missing < spare * refillShare
    return few ? 0 : Math.max(0, missing)
  }

  readonly #expireWaiters = (): void => {
    this.#timer = undefined
    const now = this.#now()
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
