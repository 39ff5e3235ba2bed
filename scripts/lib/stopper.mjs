/** Ends the child processes: on Ctrl-C, on SIGTERM, when one of them dies, when npm is gone. */

import { readFileSync } from 'node:fs'
import { endRuns, Failure } from './project.mjs'

/** @typedef {import('./child.mjs').Child} Child */

/** How often the parent is looked at. */
const parentMs = 1000

/** Ctrl-C ends the children as well, and their end may be seen before the signal: then it was no fault of theirs. */
const ctrlCMs = 1000

/** Our parent's id and, where /proc tells, its parent's. */
function ancestors() {
  try {
    // The name in parentheses may hold anything; what follows it is the state and the parent.
    const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8')
    return `${process.ppid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]}`
  } catch {
    return String(process.ppid)
  }
}

/** Holds the children; {@link Stopper.stopped} says when to end. */
export class Stopper {
  /**
   * Resolves when the user asked to stop; rejects with what went wrong when a child ended unasked.
   * @type {Promise<undefined>}
   */
  stopped
  /** Whether the user has asked. */
  asked = false
  /** @type {Child[]} */
  #children = []
  #stopping = false
  /** @type {(error: Error) => void} */
  #fail = () => undefined

  constructor() {
    /** @type {() => void} */
    let ask = () => undefined
    this.stopped = new Promise((resolve, reject) => {
      ask = () => {
        this.asked = true
        endRuns()
        resolve(undefined)
      }
      this.#fail = reject
    })
    // Awaited in races only: an early failure must not count as unhandled.
    this.stopped.catch(() => undefined)
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, ask)
    // npm, or the shell between us, may die of a signal that never reaches us.
    if (process.env['npm_lifecycle_event'] === undefined) return
    const first = ancestors()
    setInterval(() => {
      if (ancestors() !== first) ask()
    }, parentMs).unref()
  }

  /** @param {Child} child */
  add(child) {
    this.#children.push(child)
    void child.exited.then(() => {
      setTimeout(() => {
        if (!this.#stopping && !this.asked) this.#fail(new Failure(child.report))
      }, ctrlCMs)
    })
    // Asked meanwhile: whoever started it isn't listening any more.
    if (this.#stopping) void child.stop()
  }

  /** Ends all children; resolves when they are gone. */
  async stop() {
    this.#stopping = true
    await Promise.all(this.#children.map((child) => child.stop()))
  }
}
