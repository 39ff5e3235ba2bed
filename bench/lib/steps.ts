/** What a visitor costs each thread of a process: CPU, switches, system calls, wake-ups. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

/** One thread of a process, or several of one name. */
export interface ThreadUse {
  /** µs on a CPU. */
  readonly us: number
  /** Times that it slept, and that it was made to wait. */
  readonly slept: number
  readonly preempted: number
}

/** The main thread, the engine's workers, all others. Of a program that is not Node's every thread is a worker. */
export type Role = 'main' | 'worker' | 'other'

function roleOf(pid: number, tid: number, name: string): Role {
  const main = readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  if (main !== 'node') return 'worker'
  if (tid === pid) return 'main'
  return name === 'millrace' ? 'worker' : 'other'
}

const none: ThreadUse = { us: 0, slept: 0, preempted: 0 }

function numbersIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0)
}

/** What the threads of a process have used so far, by role. */
export function threadUses(pid: number): ReadonlyMap<Role, ThreadUse> {
  const uses = new Map<Role, ThreadUse>([
    ['main', none],
    ['worker', none],
    ['other', none],
  ])
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const read = (name: string): string => readFileSync(`/proc/${pid}/task/${task}/${name}`, 'utf8')
    const status = read('status')
    const role = roleOf(pid, Number(task), read('comm').trim())
    const sum = uses.get(role) ?? none
    uses.set(role, {
      us: sum.us + Number(read('schedstat').split(' ')[0]) / 1000,
      slept: sum.slept + numbersIn(status, /^voluntary_ctxt_switches:\s*(\d+)/m),
      preempted: sum.preempted + numbersIn(status, /^nonvoluntary_ctxt_switches:\s*(\d+)/m),
    })
  }
  return uses
}

/** System calls by role and name. */
export type Calls = ReadonlyMap<Role, ReadonlyMap<string, number>>

/** Reads what `perf stat -x, --per-thread` wrote: `comm-tid,count,,syscalls:sys_enter_name,…`. */
export function readCalls(text: string, roles: ReadonlyMap<number, Role>): Calls {
  const calls = new Map<Role, Map<string, number>>()
  for (const line of text.split('\n')) {
    const [thread = '', count = '', , event = ''] = line.split(',')
    const role = roles.get(Number(thread.slice(thread.lastIndexOf('-') + 1)))
    const name = event.replace('syscalls:sys_enter_', '')
    if (role === undefined || name === event || !(Number(count) > 0)) continue
    const byName = calls.get(role) ?? new Map<string, number>()
    byName.set(name, (byName.get(name) ?? 0) + Number(count))
    calls.set(role, byName)
  }
  return calls
}

/** Which role each thread of a process has now. */
export function rolesOf(pid: number): ReadonlyMap<number, Role> {
  return new Map(
    readdirSync(`/proc/${pid}/task`).map((task) => {
      const name = readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim()
      return [Number(task), roleOf(pid, Number(task), name)]
    }),
  )
}

/** Counts the system calls of a process into `file` until it is ended. */
export class CallCounter {
  readonly #child: ChildProcess

  constructor(pid: number, file: string) {
    const words = ['stat', '-x,', '--per-thread', '-e', 'syscalls:sys_enter_*', '-p', String(pid), '-o', file]
    this.#child = spawn('perf', words, { stdio: 'ignore' })
  }

  /** Resolves once the file is complete. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null) throw new Error('perf could not count system calls: is it allowed to?')
    this.#child.kill('SIGINT')
    await once(this.#child, 'exit')
  }
}

/** Bytes that a process's JavaScript has allocated, from what `--trace-gc-nvp` printed; undefined without a collection. */
export function allocatedBytes(text: string, pid: number): number | undefined {
  const lines = text.split('\n').filter((line) => line.startsWith(`[${pid}:`))
  const counts = lines.map((line) => /\ballocated=(\d+)/.exec(line)?.[1]).filter((count) => count !== undefined)
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + Number(count), 0)
}
