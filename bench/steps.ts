/**
 * What one visitor takes on each side of a tunnel: microseconds of CPU, wake-ups, switches, system calls, and bytes that
 * JavaScript allocates.
 *
 *     npm run bench:steps -- [CONTENDER…] [--visitors N] [--at-once N]
 *
 * Three runs of each: one that nothing disturbs, one under `perf stat` for the system calls, one of ours with V8's trace
 * of collections. The default is ours with lanes and without. Needs Linux; system calls are left out without perf.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { contenders } from './contenders/all.ts'
import { millraceHow } from './contenders/millrace.ts'
import type { Contender, Context } from './lib/contender.ts'
import { buildLoad } from './lib/load.ts'
import { which } from './lib/machine.ts'
import { Place } from './lib/place.ts'
import { type Subject, startContender, startService } from './lib/scenario.ts'
import { allocatedBytes, CallCounter, type Calls, readCalls, rolesOf, threadUses } from './lib/steps.ts'
import { figure } from './lib/verdicts.ts'

const sides = ['relay', 'agent'] as const
/** What is compiled only when it is used often is so after as many. */
const warmUp = 20_000
/** perf opens an event for each thread and system call first, ms. */
const perfStartMs = 1500

interface Run {
  readonly subject: Subject
  readonly folder: string
  readonly visit: (visits: number) => Promise<void>
}

function fail(message: string): never {
  process.stderr.write(`bench:steps: ${message}\n`)
  process.exit(2)
}

function readArguments(): { names: readonly string[]; visitors: number; atOnce: number } {
  try {
    const options = { visitors: { type: 'string' }, 'at-once': { type: 'string' } } as const
    const { values, positionals } = parseArgs({ allowPositionals: true, options })
    const [visitors, atOnce] = [Number(values.visitors ?? 20_000), Number(values['at-once'] ?? 32)]
    for (const count of [visitors, atOnce]) {
      if (!(Number.isInteger(count) && count > 0)) throw new Error('--visitors and --at-once take whole numbers from 1')
    }
    const ours = contenders.filter(({ name }) => millraceHow(name) !== undefined)
    return { names: positionals.length > 0 ? positionals : ours.map(({ name }) => name), visitors, atOnce }
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

/** Runs a contender that is warm; `flags` are Node's, for ours. */
async function inRun<T>(
  contender: Contender,
  atOnce: number,
  flags: readonly string[],
  use: (run: Run) => Promise<T>,
): Promise<T> {
  const place = new Place()
  try {
    let folder = ''
    const start = (context: Context) => {
      folder = context.folder
      const spawn: Context['spawn'] = (command, args, options) =>
        context.spawn(command, command === process.execPath ? [...flags, ...args] : args, options)
      return contender.start({ ...context, spawn })
    }
    const subject = await startContender(place, { ...contender, start }, await startService(place))
    const visit = async (visits: number): Promise<void> => {
      await subject.load({ verb: 'connect', connections: Math.min(atOnce, visits), visits })
      // The last ends are on their way.
      await sleep(300)
    }
    await visit(warmUp)
    return await use({ subject, folder, visit })
  } finally {
    place.end()
  }
}

/** Lines of text: CPU and switches by side and thread. */
async function measureThreads({ subject, visit }: Run, visitors: number): Promise<readonly string[]> {
  const { pids } = subject.running
  const [began, before] = [performance.now(), pids.map(threadUses)]
  await visit(visitors)
  const after = pids.map(threadUses)
  const rate = visitors / ((performance.now() - began - 300) / 1000)
  const lines = after.flatMap((uses, index) =>
    [...uses].flatMap(([role, use]) => {
      if (use.us === 0) return []
      const old = before[index]?.get(role) ?? { us: 0, slept: 0, preempted: 0 }
      const each = (name: keyof typeof use): number => (use[name] - old[name]) / visitors
      const switches = `slept ${each('slept').toFixed(2)}, preempted ${each('preempted').toFixed(2)}`
      return `  ${sides[index] ?? index} ${role.padEnd(7)} ${each('us').toFixed(1).padStart(7)} µs, ${switches}`
    }),
  )
  return [`  ${figure(rate)} visitors/s, nothing else measured meanwhile`, ...lines]
}

function callLines(side: string, calls: Calls, visitors: number): readonly string[] {
  return [...calls].flatMap(([role, byName]) => {
    const each = [...byName]
      .map(([name, count]) => ({ name, count: count / visitors }))
      .sort((a, b) => b.count - a.count)
    const all = each.reduce((sum, { count }) => sum + count, 0)
    if (all < 0.05) return []
    const wakes = each.filter(({ name }) => /^(epoll_p?wait2?|poll|ppoll|select)$/.test(name))
    const woken = wakes.reduce((sum, { count }) => sum + count, 0)
    const names = each.filter(({ count }) => count >= 0.01).map(({ name, count }) => `${name} ${count.toFixed(2)}`)
    return [
      `  ${side} ${role.padEnd(7)} ${all.toFixed(2)} system calls, of which it waits in ${woken.toFixed(2)}: ${names.join(', ')}`,
    ]
  })
}

/** Lines of text: system calls by side and thread. */
async function measureCalls({ subject, folder, visit }: Run, visitors: number): Promise<readonly string[]> {
  const counted = subject.running.pids.map((pid, index) => {
    const file = join(folder, `calls-${index}`)
    return { file, roles: rolesOf(pid), counter: new CallCounter(pid, file) }
  })
  await sleep(perfStartMs)
  await visit(visitors)
  for (const { counter } of counted) await counter.end()
  return counted.flatMap(({ file, roles }, index) =>
    callLines(sides[index] ?? String(index), readCalls(readFileSync(file, 'utf8'), roles), visitors),
  )
}

/** Lines of text: what JavaScript allocates. */
async function measureHeap({ subject, folder, visit }: Run, visitors: number): Promise<readonly string[]> {
  const log = (): string => readFileSync(join(folder, 'output.log'), 'utf8')
  const before = log().length
  await visit(visitors)
  const text = log().slice(before)
  return subject.running.pids.map((pid, index) => {
    const bytes = allocatedBytes(text, pid)
    const words = bytes === undefined ? 'less than a collection’s worth' : `${figure(bytes / visitors)} bytes`
    return `  ${sides[index] ?? index} main    ${words} allocated by JavaScript`
  })
}

if (process.platform !== 'linux') fail('it needs Linux')
const { names, visitors, atOnce } = readArguments()
const tunnels = contenders.filter(({ kind }) => kind === 'tunnel')
const wrong = names.find((name) => !tunnels.some((tunnel) => tunnel.name === name))
if (wrong !== undefined) fail(`there is no tunnel ${wrong}; there are ${tunnels.map(({ name }) => name).join(', ')}`)
buildLoad()
const say = (line: string): void => void process.stdout.write(`${line}\n`)
say(`${visitors} visitors, ${atOnce} at once, each with 64 bytes there and back; figures are of one visitor`)
for (const contender of tunnels.filter(({ name }) => names.includes(name))) {
  say(`\n${contender.name}`)
  for (const line of await inRun(contender, atOnce, [], (run) => measureThreads(run, visitors))) say(line)
  if (which('perf') === undefined) say('  system calls: perf is not on PATH')
  else for (const line of await inRun(contender, atOnce, [], (run) => measureCalls(run, visitors))) say(line)
  if (millraceHow(contender.name) === undefined) continue
  const trace = ['--trace-gc', '--trace-gc-nvp']
  for (const line of await inRun(contender, atOnce, trace, (run) => measureHeap(run, visitors))) say(line)
}
process.exit(0)
