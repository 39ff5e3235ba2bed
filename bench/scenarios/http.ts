import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { cpuSeconds } from '../lib/process.ts'
import { type Case, measureInRounds, type Scenario, type Subject } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'
import { installTools, toolProgram } from '../lib/tools.ts'

const run = promisify(execFile)

/** A number at a path of an autocannon report; 0 when it isn't there. */
function at(report: unknown, ...path: readonly string[]): number {
  const value = path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    report,
  )
  return typeof value === 'number' ? value : 0
}

async function measure({ contender, place, running }: Subject, connections: number, seconds: number): Promise<Figures> {
  const host = contender.kind === 'direct' ? place.loadHost : place.relayHost
  const { name = 'bench.localhost', pids, port } = running
  const [command = '', ...words] = place.onLoadCore([
    process.execPath,
    toolProgram('autocannon'),
    '--json',
    '--connections',
    String(connections),
    '--duration',
    String(seconds),
    '--headers',
    `Host=${name}`,
    `http://${host}:${port}/`,
  ])
  const before = cpuSeconds(pids)
  const { stdout } = await run(command, words, { timeout: 60_000 })
  const cpu = cpuSeconds(pids) - before
  const report: unknown = JSON.parse(stdout)
  const requests = at(report, 'requests', 'total')
  const failed = at(report, 'errors') + at(report, 'timeouts') + at(report, 'non2xx') + at(report, 'mismatches')
  if (failed > 0) throw new Error(`${failed} of ${requests} requests failed`)
  const rate = { requests_s: requests / at(report, 'duration') }
  // Where the far end ends a connection after its answer, autocannon has sent one more request into it, and takes the
  // time of that one for the next answer's.
  const kept = at(report, 'requests', 'sent') < 1.1 * requests + connections
  const latency = { p50_us: at(report, 'latency', 'p50') * 1e3, p99_us: at(report, 'latency', 'p99') * 1e3 }
  const speed = kept ? { ...rate, ...latency } : rate
  return pids.length === 0 ? speed : { ...speed, cpu_us_per_request: (cpu / requests) * 1e6 }
}

/** Requests over connections that visitors keep, by autocannon. */
export const http: Scenario = {
  name: 'http',
  about: 'small HTTP requests through whole HTTP tunnels, from autocannon on 32 connections that it would keep',
  contenders: ['direct', 'http-tunnels'],
  run: (bench) => {
    installTools()
    const connections = 32
    // autocannon counts in whole seconds.
    const seconds = Math.max(1, Math.round(2 * bench.effort.scale))
    const requests: Case = { name: `${connections} kept`, measure: (subject) => measure(subject, connections, seconds) }
    return measureInRounds(bench, 'http', [requests], { service: 'http' })
  },
}
