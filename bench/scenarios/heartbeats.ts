import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cli } from '../contenders/millrace.ts'
import { type Certificate, makeCertificate, pidOf, writeRelayConfig } from '../contenders/tunnel-parts.ts'
import type { Context } from '../lib/contender.ts'
import { type Lines, linesOf } from '../lib/lines.ts'
import { Place } from '../lib/place.ts'
import { cpuSeconds } from '../lib/process.ts'
import { type Scenario, takeTurns } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'

const sessions = 5000
const agents = fileURLToPath(new URL('../contenders/agents.ts', import.meta.url))
/** V8 tidies up behind the many handshakes; everybody gets as long. */
const restMs = 6_000

/** A relay as built, which everybody may use, with room for so many sessions. */
export async function startRelay(
  context: Context,
  mode: string,
  { certificate, key }: Pick<Certificate, 'certificate' | 'key'>,
  most: number,
  words: readonly string[] = [],
): Promise<{ readonly pid: number; readonly control: number }> {
  const control = await context.freePort()
  const files = ['--state-dir', join(context.folder, 'state'), '--tls-cert', certificate, '--tls-key', key]
  const address = ['--tunnel-addr', `${context.host}:${control}`, '--domain', 'millrace.localhost']
  const config = writeRelayConfig(context, [`sessions: ${most}`, `sessions_per_address: ${most}`])
  const env = { PATH: process.env['PATH'], HOME: context.folder, MILLRACE_DATAPLANE: mode }
  const open = ['relay', '--config', config, ...address, '--open', ...files, ...words, '--log-level', 'error']
  const relay = context.spawn(process.execPath, [cli, ...open], { env })
  await context.awaitPort(control)
  return { pid: pidOf(relay), control }
}

/**
 * Agents that run; resolves once all are in. `urgent`: before everything else on the load's core that has an ordinary
 * priority; Node spins when its threads have one of those that never yield.
 */
export async function startAgents(
  place: Place,
  control: number,
  certificate: string,
  count: number,
  urgent = false,
): Promise<{ readonly process: ChildProcessByStdio<Writable, Readable, null>; readonly lines: Lines }> {
  const script = [process.execPath, '--import', 'tsx', agents, place.relayHost, String(control), certificate]
  const words = [...(urgent && process.getuid?.() === 0 ? ['nice', '-n', '-15'] : []), ...script, String(count)]
  const [command = '', ...rest] = place.onLoadCore(words)
  const started = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
  place.onEnd(() => started.kill('SIGKILL'))
  started.stdin.on('error', () => {})
  const lines = linesOf(started.stdout)
  if ((await lines.next()) === undefined) throw new Error('the agents have ended')
  return { process: started, lines }
}

async function measure(mode: string, seconds: number): Promise<Figures> {
  const place = new Place()
  try {
    const context = place.context(0)
    const files = makeCertificate(context)
    const { pid, control } = await startRelay(context, mode, files, sessions + 1)
    const load = (await startAgents(place, control, files.certificate, sessions)).process
    await sleep(restMs)
    const [began, before] = [performance.now(), cpuSeconds([pid])]
    await sleep(seconds * 1000)
    const cpu = cpuSeconds([pid]) - before
    if (load.exitCode !== null) throw new Error('the agents have ended')
    return { cpu_percent: (cpu / ((performance.now() - began) / 1000)) * 100 }
  } finally {
    place.end()
  }
}

/** Control connections that only keep themselves alive. */
export const heartbeats: Scenario = {
  name: 'heartbeats',
  about:
    'a relay with 5 000 agents that have no tunnels: each side of each control connection (TLS 1.3) pings every 5 s and answers the other; CPU of the relay, 100 % is one core',
  contenders: ['stream', 'adaptive'],
  run: (bench) => {
    const seconds = 10 * bench.effort.scale
    const names = bench.contenders.map(({ name }) => name)
    return takeTurns(bench, { scenario: 'heartbeats', case: `${sessions} sessions`, rounds: 3 }, names, (name) =>
      measure(name === 'stream' ? 'stream' : 'native', seconds),
    )
  },
}
