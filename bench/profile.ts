/**
 * Profiles the relay, as built, under load; docs/profiling.md says how to read what comes out.
 *
 *     npm run bench:profile -- [flame] [bubbleprof] [heap] [--load connect|echo|bulk|http] [--seconds N] [--out FOLDER]
 *
 * clinic sees the JavaScript thread alone. What the engine's threads do is perf's to show.
 */
import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { numberIn, runLoad, startLoad } from './lib/load.ts'
import { Place } from './lib/place.ts'
import { type ProfiledRelay, startProfiledRelay } from './lib/profiled-relay.ts'
import { importTool, toolProgram } from './lib/tools.ts'

/** Our words for clinic's programs. */
const programs = { flame: 'flame', bubbleprof: 'bubbleprof', heap: 'heapprofiler' } as const
type Tool = keyof typeof programs
const loads = ['connect', 'echo', 'bulk', 'http'] as const
type Load = (typeof loads)[number]

/** What is used of autocannon. */
type Autocannon = (options: {
  readonly url: string
  readonly connections: number
  readonly duration: number
  readonly headers: Readonly<Record<string, string>>
}) => Promise<{ readonly requests: { readonly average: number }; readonly non2xx: number; readonly errors: number }>

function fail(message: string): never {
  process.stderr.write(`bench:profile: ${message}\n`)
  process.exit(2)
}

function parse() {
  try {
    const options = { load: { type: 'string' }, seconds: { type: 'string' }, out: { type: 'string' } } as const
    return parseArgs({ allowPositionals: true, options })
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

function readArguments(): { tools: readonly Tool[]; load: Load; seconds: number; out: string } {
  const { values, positionals } = parse()
  const known = Object.keys(programs) as Tool[]
  const wrong = positionals.find((word) => !known.some((tool) => tool === word))
  if (wrong !== undefined) fail(`there is no ${wrong}; there are ${known.join(', ')}`)
  const load = loads.find((name) => name === (values.load ?? 'connect'))
  if (load === undefined) fail(`--load takes ${loads.join(', ')}`)
  const seconds = Number(values.seconds ?? 8)
  if (!(seconds > 0 && seconds <= 60)) fail('--seconds takes a number above 0, at most 60')
  const out = values.out === undefined ? mkdtempSync(join(tmpdir(), 'millrace-profile-')) : resolve(values.out)
  const tools = known.filter((tool) => positionals.length === 0 || positionals.includes(tool))
  return { tools, load, seconds, out }
}

/** Loads the tunnel; one line on what was carried. */
async function carry(place: Place, relay: ProfiledRelay, load: Load, seconds: number): Promise<string> {
  const { tcpPort: port, pid } = relay
  const pids = [pid]
  if (load === 'http') {
    const module: unknown = await importTool('autocannon')
    const autocannon = Reflect.get(Object(module), 'default') as Autocannon
    const url = `http://${place.relayHost}:${relay.httpPort}/`
    const result = await autocannon({ url, connections: 32, duration: seconds, headers: { host: relay.hostname } })
    return `${result.requests.average} requests/s, ${result.non2xx} refused, ${result.errors} failed`
  }
  if (load === 'bulk') {
    const result = await runLoad(place, place.relayHost, { verb: 'bulk', port, pids, bytes: 0, seconds, warmup: 0.2 })
    return `${((result.bytes * 8) / 1e9 / result.seconds).toFixed(1)} Gbit/s`
  }
  const result = await runLoad(place, place.relayHost, {
    verb: load,
    port,
    pids,
    connections: 32,
    seconds,
    warmup: 0.2,
  })
  const rate = (load === 'echo' ? result.roundTrips : result.connections) / result.seconds
  return `${Math.round(rate)} ${load === 'echo' ? 'round trips' : 'connections'}/s`
}

async function profile(tool: Tool, load: Load, seconds: number, out: string, httpTarget: number): Promise<void> {
  const place = new Place()
  try {
    const server = startLoad(place, ['serve', '--host', place.loadHost])
    const backend = numberIn((await server.lines.next()) ?? '{}', 'port')
    const folder = join(out, tool)
    mkdirSync(folder, { recursive: true })
    const clinic = [toolProgram('clinic'), programs[tool], '--open=false', '--dest', folder, '--']
    const relay = await startProfiledRelay(place.context(backend), httpTarget, (command) => [...clinic, ...command])
    place.onEnd(() => {
      try {
        process.kill(relay.pid, 'SIGKILL')
      } catch {
        // It has ended, as it should.
      }
    })
    process.stdout.write(`${tool}: ${await carry(place, relay, load, seconds)}\n`)
    await relay.finish(tool === 'heap')
    const pages = readdirSync(folder).filter((name) => name.endsWith('.html'))
    if (pages.length === 0) throw new Error('clinic wrote no page')
    for (const page of pages) process.stdout.write(`${tool}: ${join(folder, page)}\n`)
  } finally {
    place.end()
  }
}

if (process.platform !== 'linux') fail('it needs Linux')
const { tools, load, seconds, out } = readArguments()
const service = createServer((_request, response) => response.end('hello\n'))
await new Promise<void>((done) => service.listen(0, '127.0.0.1', done))
const address = service.address()
const httpTarget = typeof address === 'object' && address !== null ? address.port : 0
let failed = false
for (const tool of tools) {
  try {
    await profile(tool, load, seconds, out, httpTarget)
  } catch (error) {
    failed = true
    process.stderr.write(`${tool}: ${error instanceof Error ? error.message : String(error)}\n`)
  }
}
process.stdout.write(`everything is in ${out}\n`)
process.exit(failed ? 1 : 0)
