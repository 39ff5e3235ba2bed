import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cli } from '../contenders/millrace.ts'
import { makeCertificate, pidOf, writeLines } from '../contenders/tunnel-parts.ts'
import type { Context } from '../lib/contender.ts'
import { linesOf } from '../lib/lines.ts'
import { Place } from '../lib/place.ts'
import { cpuSeconds } from '../lib/process.ts'
import { type Scenario, takeTurns } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'

const sessions = 5000
const agents = fileURLToPath(new URL('../contenders/agents.ts', import.meta.url))
/** V8 tidies up behind the many handshakes; everybody gets as long. */
const restMs = 6_000

async function startRelay(context: Context, mode: string, certificate: string, key: string) {
  const control = await context.freePort()
  const files = ['--state-dir', join(context.folder, 'state'), '--tls-cert', certificate, '--tls-key', key]
  const words = ['--tunnel-addr', `${context.host}:${control}`, '--domain', 'millrace.localhost', '--open', ...files]
  const config = writeLines(context, 'relay.yaml', ['limits:', `  sessions: ${sessions + 1}`])
  const env = { PATH: process.env['PATH'], HOME: context.folder, MILLRACE_DATAPLANE: mode }
  const relay = context.spawn(process.execPath, [cli, 'relay', '--config', config, ...words, '--log-level', 'error'], {
    env,
  })
  await context.awaitPort(control)
  return { pid: pidOf(relay), control }
}

async function measure(mode: string, seconds: number): Promise<Figures> {
  const place = new Place()
  try {
    const context = place.context(0)
    const { certificate, key } = makeCertificate(context)
    const { pid, control } = await startRelay(context, mode, certificate, key)
    const script = [process.execPath, '--import', 'tsx', agents]
    const words = [...script, place.relayHost, String(control), certificate, String(sessions)]
    const [command = '', ...rest] = place.onLoadCore(words)
    const load = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
    place.onEnd(() => load.kill('SIGKILL'))
    if ((await linesOf(load.stdout).next()) === undefined) throw new Error('the agents have ended')
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
