import type { Tunnel, TunnelProtocol } from './tunnel.ts'

/** Settings of a {@link ReturnQueue}. */
export interface ReturnQueueOptions {
  /** Most visitors that wait, for all addresses together. */
  readonly limit: number
  /** How long a visitor waits, ms. */
  readonly timeoutMs: number
}

/** Gets the tunnel that came back, or undefined: it didn't in time. */
export type OnReturn = (tunnel: Tunnel | undefined) => void

/** A visitor that waits for a tunnel. */
export interface ReturnWaiter {
  /** The tunnels that would do. */
  readonly keys: readonly string[]
  readonly onReturn: OnReturn
  readonly deadline: number
}

/**
 * Visitors of addresses whose owner is expected back (`Reservations.isAway`), in the order in which they came: each is
 * told when the address has a tunnel again, or when its time is up.
 */
export class ReturnQueue {
  readonly #options: ReturnQueueOptions
  readonly #waiters = new Set<ReturnWaiter>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: ReturnQueueOptions) {
    this.#options = options
  }

  /** Visitors that wait. */
  get size(): number {
    return this.#waiters.size
  }

  /**
   * Waits for a tunnel of any of the protocols. `onReturn` is called once, later. Undefined: too many wait already, and it
   * is not called.
   */
  wait(protocols: readonly TunnelProtocol[], address: string, onReturn: OnReturn): ReturnWaiter | undefined {
    const { limit, timeoutMs } = this.#options
    if (this.#waiters.size >= limit) return undefined
    const keys = protocols.map((protocol) => `${protocol} ${address}`)
    const waiter = { keys, onReturn, deadline: performance.now() + timeoutMs }
    this.#waiters.add(waiter)
    this.#timer ??= setTimeout(this.#expire, timeoutMs)
    return waiter
  }

  /** The visitor left: its `onReturn` won't be called any more. */
  cancel(waiter: ReturnWaiter): void {
    this.#waiters.delete(waiter)
  }

  /** A tunnel has come up. */
  arrived(tunnel: Tunnel): void {
    const key = `${tunnel.protocol} ${tunnel.address}`
    const back = [...this.#waiters].filter(({ keys }) => keys.includes(key))
    for (const waiter of back) if (this.#waiters.delete(waiter)) waiter.onReturn(tunnel)
  }

  /** Nobody comes back any more: all who wait are told so. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter)
      waiter.onReturn(undefined)
    }
  }

  readonly #expire = (): void => {
    this.#timer = undefined
    const now = performance.now()
    for (const waiter of this.#waiters) {
      // Timers may fire a fraction of a millisecond early.
      const left = waiter.deadline - now
      if (left > 1) {
        this.#timer = setTimeout(this.#expire, left)
        return
      }
      this.#waiters.delete(waiter)
      waiter.onReturn(undefined)
    }
  }
}
