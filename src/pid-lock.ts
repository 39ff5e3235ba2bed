import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** How often two that stand in each other's way try again before both give up. */
const attempts = 5
/** The most that they wait in between, ms. */
const retryMs = 20

/**
 * A lock between the processes of one machine. Each taker creates a file of its own beside `file`, then looks for those
 * of others: of two takers at least one sees the other, and gives way. A file's name says whose it is, so that what a
 * process left that died is nobody's, and whoever removes it removes nothing else.
 */
export class PidLock {
  readonly #file: string
  #mine: string | undefined

  /** The lock's files are called as `file`, with an ending. Its folder must be there. */
  constructor(file: string) {
    this.#file = file
  }

  /** True while it is ours. */
  get held(): boolean {
    return this.#mine !== undefined
  }

  /** Takes it; false when a live process has it, perhaps this one. Rejects with the system's error. */
  async take(): Promise<boolean> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0) await delay(Math.random() * retryMs)
      if (await this.#try()) return true
    }
    return false
  }

  /** The same, but waits up to `ms` for whoever has it. */
  async takeWithin(ms: number): Promise<boolean> {
    const deadline = performance.now() + ms
    while (!(await this.take())) {
      if (performance.now() >= deadline) return false
    }
    return true
  }

  /** Gives it back. Idempotent. */
  async release(): Promise<void> {
    const mine = this.#mine
    this.#mine = undefined
    if (mine !== undefined) await rm(mine, { force: true })
  }

  async #try(): Promise<boolean> {
    // Most often somebody has had it for long.
    if (await this.#taken('')) return false
    const owner = `${process.pid}.${await birthOf(process.pid)}.${randomBytes(4).toString('hex')}`
    const mine = `${this.#file}.${owner}`
    await writeFile(mine, '', { mode: 0o600, flag: 'wx' })
    if (await this.#taken(basename(mine))) {
      await rm(mine, { force: true })
      return false
    }
    this.#mine = mine
    return true
  }

  /** Whether there is a live owner's file but `mine`. Removes those of the dead. */
  async #taken(mine: string): Promise<boolean> {
    const prefix = `${basename(this.#file)}.`
    for (const name of await readdir(dirname(this.#file))) {
      if (!name.startsWith(prefix) || name === mine) continue
      const [pid = '', birth = ''] = name.slice(prefix.length).split('.')
      if (isAlive(Number(pid)) && (await birthOf(Number(pid))) === birth) return true
      await rm(join(dirname(this.#file), name), { force: true })
    }
    return false
  }
}

/** Tells a process from a later one with its number: boot and start time where Linux says them, '' elsewhere. */
async function birthOf(pid: number): Promise<string> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // proc(5): field 22, and the name in field 2 may contain anything.
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
    return `${boot.slice(0, 8)}-${start}`
  } catch {
    return ''
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: somebody else's process.
    return error instanceof Error && Reflect.get(error, 'code') === 'EPERM'
  }
}
