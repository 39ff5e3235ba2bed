import type { Endpoint } from '../dataplane/types.ts'

interface Idle {
  readonly proxy: Endpoint
  /** Since when it has waited. */
  readonly since: number
}

/**
 * Proxy connections of one kind that wait for visitors. Dead ones leave at once and are never handed out; the youngest is
 * handed out first: it is the one that a middlebox has least likely forgotten, and what nobody needs grows old.
 */
export class IdleProxies {
  /** Oldest first. */
  readonly #idle: Idle[] = []

  get size(): number {
    return this.#idle.length
  }

  /** Takes one in. */
  add(proxy: Endpoint, now: number): void {
    const entry: Idle = { proxy, since: now }
    this.#idle.push(entry)
    proxy.onClosed(() => {
      const index = this.#idle.indexOf(entry)
      // A visitor has it.
      if (index === -1) return
      this.#idle.splice(index, 1)
      // The next visitor or tick asks for another: at once, an agent that drops each one would keep us spinning.
      proxy.destroy()
    })
  }

  /** Hands the youngest out. */
  take(): Endpoint | undefined {
    return this.#idle.pop()?.proxy
  }

  /** Closes the oldest if it has waited since before `before`. False: there is none. */
  drop(before = Number.POSITIVE_INFINITY): boolean {
    const [oldest] = this.#idle
    if (oldest === undefined || oldest.since >= before) return false
    this.#idle.shift()
    oldest.proxy.destroy()
    return true
  }

  /** Closes all. */
  clear(): void {
    for (const { proxy } of this.#idle.splice(0)) proxy.destroy()
  }
}
