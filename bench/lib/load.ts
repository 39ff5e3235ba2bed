/** The load programs (`bench/load`): built once, pinned to the load's core. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Lines, linesOf } from './lines.ts'
import type { Place } from './place.ts'

const sources = fileURLToPath(new URL('../load/', import.meta.url))
/** Its TLS connections are the engine's, on the system's OpenSSL. */
const engine = fileURLToPath(new URL('../../native/engine/', import.meta.url))
const engineUnits = /^tls_(bio|callbacks|context|error|library|names|pem|sessions|stream|stream_make|tickets)\.cc$/
const folder = fileURLToPath(new URL('../.build/', import.meta.url))

/** Compiles the load programs unless they are up to date; the path of the binary. Throws when there is no compiler. */
export function buildLoad(): string {
  const binary = join(folder, 'load')
  const own = readdirSync(sources).map((name) => join(sources, name))
  const shared = readdirSync(engine).filter(
    (name) => name.startsWith('tls_') && (name.endsWith('.h') || engineUnits.test(name)),
  )
  const files = [...own, ...shared.map((name) => join(engine, name))]
  const newest = Math.max(...files.map((file) => statSync(file).mtimeMs))
  const built = statSync(binary, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (built < newest) {
    mkdirSync(folder, { recursive: true })
    const units = files.filter((file) => file.endsWith('.cc'))
    const compiler = process.env['CXX'] ?? 'g++'
    const flags = ['-std=c++20', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-I', engine]
    execFileSync(compiler, [...flags, '-o', binary, ...units, '-ldl'], { stdio: 'inherit' })
  }
  return binary
}

/** What the visitors shall do; the options of `bench/load/main.cc`. */
export interface LoadOptions {
  readonly verb: 'bulk' | 'echo' | 'connect' | 'visit' | 'idle' | 'cipher'
  /** Of the contender; `cipher` has none. */
  readonly port?: number
  readonly pids?: readonly number[]
  readonly connections?: number
  /** Of each bulk flow; 0: as many as pass in `seconds`. */
  readonly bytes?: number
  readonly up?: boolean
  /** KiB/s. */
  readonly pace?: number
  readonly size?: number
  readonly seconds?: number
  readonly warmup?: number
  readonly rate?: number
  /** How many visits in all; of `connect` the figures are then of all of them, from the start. */
  readonly visits?: number
  /** The visitors speak TLS. */
  readonly tls?: boolean
  /** Every connection of `echo` is used once before anything is measured; see {@link startLoad}'s `end`. */
  readonly wait?: boolean
  /** They use their TLS sessions again. */
  readonly resume?: boolean
  /** A visit of `connect` is a TLS handshake and nothing else. */
  readonly hello?: boolean
  /** The time of a visit of `connect` is that to the first byte that comes back, not to its end. */
  readonly first?: boolean
  /** Files of `cipher`. */
  readonly certificate?: string
  readonly key?: string
}

/** What they report; what does not apply is 0. */
export interface LoadResult {
  readonly seconds: number
  readonly bytes: number
  readonly roundTrips: number
  readonly connections: number
  /** Of those, how many used a TLS session again. */
  readonly resumed: number
  readonly p50: number
  readonly p99: number
  /** Seconds, of all processes named. */
  readonly cpu: number
}

/** A load program that runs. */
export interface LoadProcess {
  readonly lines: Lines
  readonly done: Promise<void>
  /** Ends its input, which ends it. */
  end(): void
  kill(): void
}

/** No measurement takes so long, in ms, unless something is wrong. */
const limitMs = 120_000

/** The words of the command line for `options`. */
export function loadArguments(host: string, options: LoadOptions): string[] {
  const { verb, pids, ...rest } = options
  const named = Object.entries(rest).flatMap(([name, value]) =>
    typeof value === 'boolean' ? (value ? [`--${name}`] : []) : [`--${name}`, String(value)],
  )
  const measured = pids === undefined || pids.length === 0 ? [] : ['--pids', pids.join(',')]
  return [verb, '--host', host, ...named, ...measured]
}

/** Starts the load program; `urgent`: before everything else on its core, so that its own waiting is not measured. */
export function startLoad(place: Place, args: readonly string[], urgent = false): LoadProcess {
  const [command = '', ...words] = place.onLoadCore([...(urgent ? place.urgently() : []), buildLoad(), ...args])
  const child = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] })
  const done = new Promise<void>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`load ${args.join(' ')}: ended with ${code ?? signal}`)),
    )
  })
  done.catch(() => {})
  place.onEnd(() => child.kill('SIGKILL'))
  child.stdin.on('error', () => {})
  return {
    lines: linesOf(child.stdout),
    done,
    end: () => child.stdin.end(),
    kill: () => child.kill('SIGKILL'),
  }
}

/** A number, or a list of them summed, in a line of JSON; 0 when it isn't there. */
export function numberIn(line: string, name: string): number {
  const parsed: unknown = JSON.parse(line)
  const value: unknown = typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, name) : undefined
  if (Array.isArray(value)) return value.reduce((sum: number, item: unknown) => sum + Number(item), 0)
  return typeof value === 'number' ? value : 0
}

/** Runs the visitors to their end. Rejects when one of them sees anything but what it should. */
export async function runLoad(place: Place, host: string, options: LoadOptions, urgent = false): Promise<LoadResult> {
  const load = startLoad(place, loadArguments(host, options), urgent)
  const limit = setTimeout(() => load.kill(), limitMs)
  try {
    return await resultOf(load)
  } finally {
    clearTimeout(limit)
  }
}

/** Waits for a load's figures and its end. */
export async function resultOf(load: LoadProcess): Promise<LoadResult> {
  const line = await load.lines.next()
  load.end()
  await load.done
  if (line === undefined) throw new Error('the load printed nothing')
  return {
    seconds: numberIn(line, 'seconds'),
    bytes: numberIn(line, 'bytes'),
    roundTrips: numberIn(line, 'round_trips'),
    connections: numberIn(line, 'connections'),
    resumed: numberIn(line, 'resumed'),
    p50: numberIn(line, 'p50_us'),
    p99: numberIn(line, 'p99_us'),
    cpu: numberIn(line, 'cpu_ns') / 1e9,
  }
}
