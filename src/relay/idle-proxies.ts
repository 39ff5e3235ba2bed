import type { ProxyCarrier } from './proxy-carriers.ts'

interface Idle {
  readonly carrier: ProxyCarrier
  /** Since when it has waited. */
  readonly since: number
}

/**
 * Carriers of one kind that wait for visitors. The youngest is handed out first: it is the one that a middlebox has least
 * likely forgotten, and what nobody needs grows old.
 */
export class IdleProxies {
  /** Oldest first. */
  readonly #idle: Idle[] = []

  get size(): number {
    return this.#idle.length
  }

  /** Takes one in. */
  add(carrier: ProxyCarrier, now: number): void {
    this.#idle.push({ carrier, since: now })
  }

  /** Hands the youngest out. */
  take(): ProxyCarrier | undefined {
    for (;;) {
      const carrier = this.#idle.pop()?.carrier
      if (carrier === undefined || carrier.usable) return carrier
      carrier.destroy()
    }
  }

  /** Takes one out that has died. False: it is not here. */
  remove(carrier: ProxyCarrier): boolean {
    const index = this.#idle.findIndex((idle) => idle.carrier === carrier)
    if (index === -1) return false
    this.#idle.splice(index, 1)
    return true
  }

  /** Closes the oldest if it has waited since before `before`. False: there is none. */
  drop(before = Number.POSITIVE_INFINITY): boolean {
    const [oldest] = this.#idle
    if (oldest === undefined || oldest.since >= before) return false
    this.#idle.shift()
    oldest.carrier.destroy()
    return true
  }

  /** Closes all. */
  clear(): void {
    for (const { carrier } of this.#idle.splice(0)) carrier.destroy()
  }
}
