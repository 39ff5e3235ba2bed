/**
 * CPU seconds per GB of a process that relays one bulk flow over loopback: `a.pipe(b)`, our stream data plane, and the
 * native one with copy, splice and adaptive. Contenders take turns round by round; medians with minimum and maximum.
 *
 *     node --import tsx bench/bulk.ts [--rounds N] [--bytes N] [--only CONTENDER,…] [--json FILE]
 *
 * CPU is that of the relaying process (user and system, all threads); Gbit/s is decided by the load programs as well,
 * which share the machine.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { createInterface, type Interface } from 'node:readline'
import { parseArgs } from 'node:util'

const { values: args } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    bytes: { type: 'string', default: String(2 ** 30) },
    only: { type: 'string', default: 'node-pipe,stream,copy,splice,adaptive' },
    json: { type: 'string' },
  },
})
const rounds = Number(args.rounds)
const bytes = Number(args.bytes)
const contenders = args.only.split(',')

/** A child that answers in lines. */
class Child {
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string, undefined>
  readonly #reader: Interface

  constructor(script: string, ...argv: readonly string[]) {
    const file = new URL(script, import.meta.url).pathname
    this.#process = spawn(process.execPath, ['--import', 'tsx', file, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] })
    if (this.#process.stdout === null) throw new Error('no standard output')
    this.#reader = createInterface({ input: this.#process.stdout })
    this.#lines = this.#reader[Symbol.asyncIterator]()
  }

  async line(): Promise<string> {
    const next = await this.#lines.next()
    if (next.done === true) throw new Error('the child has ended')
    return next.value
  }

  ask(): Promise<string> {
    this.#process.stdin?.write('\n')
    return this.line()
  }

  end(): void {
    this.#process.stdin?.end()
  }
}

function field(line: string, name: string): number {
  const parsed: unknown = JSON.parse(line)
  const value: unknown = typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, name) : undefined
  if (typeof value !== 'number') throw new Error(`no ${name} in ${line}`)
  return value
}

async function measure(contender: string, sinkPort: string): Promise<{ cpuPerGb: number; gbit: number }> {
  const relay = new Child('relay.ts', contender, sinkPort)
  const port = await relay.line()
  const before = field(await relay.ask(), 'cpuSeconds')
  const source = new Child('load.ts', 'source', port, String(bytes))
  const seconds = field(await source.line(), 'seconds')
  const after = field(await relay.ask(), 'cpuSeconds')
  source.end()
  relay.end()
  return { cpuPerGb: ((after - before) * 1e9) / bytes, gbit: (bytes * 8) / 1e9 / seconds }
}

function summary(values: readonly number[]): { median: number; min: number; max: number; runs: number } {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (index: number): number => sorted[index] ?? Number.NaN
  const middle = (sorted.length - 1) / 2
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    min: at(0),
    max: at(sorted.length - 1),
    runs: sorted.length,
  }
}

const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
  congestionControl: readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim(),
  node: process.version,
}
const sink = new Child('load.ts', 'sink')
const sinkPort = await sink.line()
const results = new Map(contenders.map((name) => [name, { cpuPerGb: [] as number[], gbit: [] as number[] }]))
for (let round = 1; round <= rounds; round += 1) {
  for (const [name, result] of results) {
    const { cpuPerGb, gbit } = await measure(name, sinkPort)
    result.cpuPerGb.push(cpuPerGb)
    result.gbit.push(gbit)
  }
}
sink.end()

const rows = [...results].flatMap(([contender, { cpuPerGb, gbit }]) => [
  { scenario: 'bulk', case: '1 flow', contender, metric: 'cpu_s_per_gb', unit: 's/GB', ...summary(cpuPerGb) },
  { scenario: 'bulk', case: '1 flow', contender, metric: 'gbit_s', unit: 'Gbit/s', ...summary(gbit) },
])
process.stdout.write(`${JSON.stringify(machine)}\n${rounds} rounds of ${bytes} bytes, median (min–max)\n`)
for (const { contender, metric, unit, median, min, max } of rows) {
  const text = `${median.toFixed(3)} (${min.toFixed(3)}–${max.toFixed(3)}) ${unit}`
  process.stdout.write(`${contender.padEnd(10)} ${metric.padEnd(13)} ${text}\n`)
}
if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify({ machine, rows }, undefined, 2)}\n`)
