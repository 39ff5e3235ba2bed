/** The traffic of a soak: what each kind of visitor does, how often, and what went wrong. */
import { resetAfterBytes, wish } from './service.mjs'
import { Visitor } from './visitor.mjs'

/**
 * One kind of visitor on one tunnel. `once` is done every `everyMs` by each of `count`.
 * @typedef {object} Kind
 * @property {string} name
 * @property {number} count
 * @property {number} everyMs at rate 1
 * @property {(port: number) => Promise<Work>} start
 */

/**
 * @typedef {object} Work
 * @property {() => Promise<unknown>} once
 * @property {() => Promise<unknown>} stop
 */

const nothing = async () => undefined

/** Whoever comes for one thing and leaves. @param {(port: number) => Promise<unknown>} once */
const brief = (once) => async (/** @type {number} */ port) => ({ once: () => once(port), stop: nothing })

/** Whoever stays on one connection. @param {(visitor: Visitor) => Promise<unknown>} once */
const lasting = (once) => async (/** @type {number} */ port) => {
  const visitor = new Visitor(port, wish.echo)
  return { once: () => once(visitor), stop: () => visitor.finish() }
}

/** @type {readonly Kind[]} */
export const kinds = [
  { name: 'bulk', count: 1, everyMs: 2_000, start: lasting((visitor) => visitor.exchange(4 << 20)) },
  { name: 'ping-pong', count: 4, everyMs: 100, start: lasting((visitor) => visitor.exchange(64)) },
  // A byte a minute: long enough for a join to count as idle, and its pipes to be given back.
  { name: 'idle', count: 50, everyMs: 60_000, start: lasting((visitor) => visitor.exchange(1)) },
  {
    name: 'short',
    count: 1,
    everyMs: 200,
    start: brief(async (port) => {
      const visitor = new Visitor(port, wish.echo)
      await visitor.exchange(200)
      await visitor.finish()
    }),
  },
  {
    name: 'half-close',
    count: 1,
    everyMs: 1_000,
    start: brief(async (port) => {
      const visitor = new Visitor(port, wish.answerAfterEnd)
      visitor.send(300_000)
      await visitor.finish()
    }),
  },
  {
    name: 'reset',
    count: 1,
    everyMs: 1_000,
    start: brief(async (port) => {
      const visitor = new Visitor(port, wish.echo)
      await visitor.exchange(1_000)
      visitor.send(1 << 20)
      visitor.reset()
      await visitor.closed
    }),
  },
  {
    name: 'reset-by-service',
    count: 1,
    everyMs: 1_000,
    start: brief(async (port) => {
      const visitor = new Visitor(port, wish.reset)
      visitor.send(resetAfterBytes)
      await visitor.gone()
    }),
  },
]

/** All kinds on some tunnels, until it is stopped. */
export class Traffic {
  /** How often each kind has done its work. @type {Map<string, number>} */
  done = new Map()
  /** What went wrong, in words. @type {string[]} */
  faults = []
  #over = false
  /** @type {Promise<void>[]} */
  #lives = []
  /** @type {Set<() => void>} */
  #sleepers = new Set()

  /**
   * @param {readonly { name: string, port: number }[]} tunnels
   * @param {number} rate 1 is about 15 connections and 80 round trips a second for two tunnels
   */
  constructor(tunnels, rate) {
    for (const { name, port } of tunnels) {
      for (const kind of kinds) {
        for (let count = 0; count < kind.count; count++) {
          this.#lives.push(this.#live(kind, port, kind.everyMs / rate, `${kind.name} on ${name}`))
        }
      }
    }
  }

  /** Lets everybody finish; resolves when the last has left. */
  async stop() {
    this.#over = true
    for (const wake of this.#sleepers) wake()
    await Promise.all(this.#lives)
  }

  /** @param {Kind} kind @param {number} port @param {number} everyMs @param {string} name */
  async #live(kind, port, everyMs, name) {
    while (!this.#over) {
      try {
        const work = await kind.start(port)
        while (!this.#over) {
          await work.once()
          this.done.set(kind.name, (this.done.get(kind.name) ?? 0) + 1)
          await this.#sleep(everyMs * (0.5 + Math.random()))
        }
        await work.stop()
      } catch (error) {
        this.faults.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
        await this.#sleep(1_000)
      }
    }
  }

  /** @param {number} ms @returns {Promise<void>} */
  #sleep(ms) {
    if (this.#over) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleepers.delete(wake)
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      this.#sleepers.add(wake)
    })
  }
}
