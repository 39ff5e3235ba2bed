/** A child process that reports by JSON lines on stdout. */
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Failure, root } from './project.mjs'

/** Limit for an event to come. A loaded machine needs long; nothing waits for so long when all is well. */
const eventLimitMs = 60_000
/** After SIGTERM: when it is repeated (which ends a relay's drain), and when SIGKILL follows. */
const secondTermMs = 2000
const killMs = 6000
/** Last lines kept for the report of an unexpected end. */
const keptLines = 30

/**
 * A line of the log.
 * @typedef {{ event?: string, [field: string]: unknown }} Entry
 */

/** Starts it, reads its events, ends it. */
export class Child {
  /** Resolves when the process is gone, with how it ended. */
  exited
  #name
  #process
  /** @type {Entry[]} */
  #events = []
  /** @type {Set<() => void>} */
  #watchers = new Set()
  /** @type {string[]} */
  #tail = []
  /** @type {string | undefined} */
  #end

  /**
   * @param {string} name for messages
   * @param {readonly string[]} args of node
   * @param {{ logFile: string, env?: NodeJS.ProcessEnv }} options everything it prints goes to `logFile`
   */
  constructor(name, args, { logFile, env = process.env }) {
    this.#name = name
    const guard = new URL('die-with-parent.mjs', import.meta.url).href
    this.#process = spawn(process.execPath, ['--import', guard, ...args], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const log = createWriteStream(logFile, { mode: 0o600 })
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`)
        this.#read(line)
      })
    }
    this.exited = new Promise((resolve) => {
      /** @param {string} how */
      const end = (how) => {
        this.#end = how
        log.end()
        this.#wake()
        resolve(how)
      }
      this.#process.on('error', (error) => end(error.message))
      this.#process.on('close', (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`))
    })
  }

  /** Where the events stand now: give it to {@link waitFor} to look at later ones only. */
  get mark() {
    return this.#events.length
  }

  /** What it printed last and how it ended, for a report. */
  get report() {
    return `${this.#name} ended (${this.#end}). Its last lines:\n${this.#tail.map((line) => `  ${line}`).join('\n')}`
  }

  /**
   * Waits for an event.
   * @param {string} event
   * @param {(entry: Entry) => boolean} [wanted]
   * @param {number} [from] a {@link mark}
   * @returns {Promise<Entry>} rejects with a Failure when the process ends or the limit runs out
   */
  waitFor(event, wanted = () => true, from = 0) {
    return new Promise((resolve, reject) => {
      let next = from
      const settle = () => {
        this.#watchers.delete(look)
        clearTimeout(timer)
      }
      const look = () => {
        for (; next < this.#events.length; next++) {
          const entry = this.#events[next]
          if (entry?.event !== event || !wanted(entry)) continue
          settle()
          resolve(entry)
          return
        }
        if (this.#end === undefined) return
        settle()
        reject(new Failure(this.report))
      }
      const timer = setTimeout(() => {
        settle()
        reject(
          new Failure(`${this.#name} said no "${event}" within ${eventLimitMs / 1000} s. ${this.#tail.join('\n')}`),
        )
      }, eventLimitMs)
      this.#watchers.add(look)
      look()
    })
  }

  /** Ends it: SIGTERM, once more, then SIGKILL. Resolves when it is gone. */
  async stop() {
    if (this.#end !== undefined) return
    const kill = (/** @type {NodeJS.Signals} */ signal) => () => this.#process.kill(signal)
    kill('SIGTERM')()
    const timers = [setTimeout(kill('SIGTERM'), secondTermMs), setTimeout(kill('SIGKILL'), killMs)]
    await this.exited
    for (const timer of timers) clearTimeout(timer)
  }

  /** @param {string} line */
  #read(line) {
    this.#tail.push(line)
    if (this.#tail.length > keptLines) this.#tail.shift()
    if (!line.startsWith('{')) return
    try {
      this.#events.push(JSON.parse(line))
    } catch {
      return
    }
    this.#wake()
  }

  #wake() {
    for (const watcher of this.#watchers) watcher()
  }
}
