/** A relay that is greeted by a thousand strangers a second. */
import { setTimeout as sleep } from 'node:timers/promises'
import { cli } from '../contenders/millrace.ts'
import { makeCertificate } from '../contenders/tunnel-parts.ts'
import { loadArguments, numberIn, resultOf, runLoad, startLoad } from '../lib/load.ts'
import { Place } from '../lib/place.ts'
import { type Scenario, startService, takeTurns } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'
import { startAgents, startRelay } from './heartbeats.ts'

const sessions = 200
/** Through the tunnel, and the round trips a second of all together. */
const joins = 1000
const rate = 2000
/** Handshakes a second. */
const newcomers = 1000
/** For what opening all that leaves to be tidied up, ms. */
const restMs = 2_000

async function measure(mode: string, seconds: number, storm: boolean): Promise<Figures> {
  const place = new Place()
  try {
    const backend = await startService(place, true)
    const context = place.context(backend)
    const files = makeCertificate(context)
    const { control } = await startRelay(context, mode, files, sessions + 2, ['--allow-plain'])
    const tunnel = await context.freePort()
    const relay = ['--relay', `${context.host}:${control}`, '--remote-port', String(tunnel), '--ca', files.certificate]
    const env = { PATH: process.env['PATH'], HOME: context.folder, MILLRACE_DATAPLANE: mode }
    const agent = [cli, 'tcp', `${place.loadHost}:${backend}`, ...relay, '--plain', '--log-level', 'error']
    context.spawn(process.execPath, agent, { env })
    await context.awaitPort(tunnel)
    const agents = await startAgents(place, control, files.certificate, sessions, true)
    const pings = { verb: 'echo', port: tunnel, connections: joins, rate, seconds, warmup: 0.5, wait: true } as const
    const pinging = startLoad(place, loadArguments(place.relayHost, pings), true)
    if ((await pinging.lines.next()) === undefined) await pinging.done
    await sleep(restMs)
    const hello = { verb: 'connect', port: control, connections: 200, rate: newcomers, tls: true, hello: true } as const
    const greeted = storm
      ? runLoad(place, place.relayHost, { ...hello, seconds: seconds + 0.5, warmup: 0.5 })
      : undefined
    agents.process.stdin.write('probe\n')
    pinging.end()
    const { p50, p99 } = await resultOf(pinging)
    agents.process.stdin.write('report\n')
    const answers = await agents.lines.next()
    if (answers === undefined) throw new Error('the agents have ended')
    const visits = await greeted
    const beats = { heartbeat_p99_ms: numberIn(answers, 'p99_ms'), heartbeat_worst_ms: numberIn(answers, 'worst_ms') }
    const figures = { p50_us: p50, p99_us: p99, ...beats }
    return visits === undefined ? figures : { ...figures, connections_s: visits.connections / visits.seconds }
  } finally {
    place.end()
  }
}

/** Handshakes beside everything that a relay has to keep up. */
export const tlsStorm: Scenario = {
  name: 'tls-storm',
  about:
    'a whole relay, alone and while 1 000 TLS connections a second are due at its tunnel port (each a full handshake and then gone): how long it takes to answer the pings of 200 agents, one a second of each, and the 99th percentile of 2 000 round trips a second of 64 B on 1 000 connections through a tunnel with plain proxy connections; relay and agent share a core, everything else the other',
  contenders: ['stream', 'adaptive'],
  run: async (bench) => {
    const seconds = 4 * bench.effort.scale
    const names = bench.contenders.map(({ name }) => name)
    const turns = (name: string, storm: boolean) =>
      takeTurns(bench, { scenario: 'tls-storm', case: name }, names, (contender) =>
        measure(contender === 'stream' ? 'stream' : 'native', seconds, storm),
      )
    return [...(await turns('alone', false)), ...(await turns('beside handshakes', true))]
  },
}
