/** Many visitors at the same moment, of a tunnel that has had none. */
import { cli, type How, millraceHow } from '../contenders/millrace.ts'
import { makeCertificate } from '../contenders/tunnel-parts.ts'
import type { Contender } from '../lib/contender.ts'
import { numberIn, runLoad } from '../lib/load.ts'
import { Place } from '../lib/place.ts'
import { inFreshPlace, type Scenario, startService, takeTurns } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'
import { startAgents, startRelay } from './heartbeats.ts'

const visitors = 2000
/** Agents beside the one with the tunnel, that ping once a second each. */
const sessions = 100
const load = { verb: 'connect', connections: visitors, visits: visitors } as const

async function burstOf(place: Place, port: number): Promise<Figures> {
  const { connections, seconds, p50, p99 } = await runLoad(place, place.relayHost, { ...load, port })
  if (connections !== visitors) throw new Error(`${connections} of ${visitors} visitors were served`)
  return { connections_s: connections / seconds, p50_us: p50, p99_us: p99 }
}

/** Ours, with agents that look how the relay answers meanwhile. */
async function measureOurs({ plain = false, lanes = true }: How): Promise<Figures> {
  const place = new Place()
  try {
    const backend = await startService(place)
    const context = place.context(backend)
    const files = makeCertificate(context)
    const mode = process.env['MILLRACE_DATAPLANE'] ?? 'native'
    const words = lanes ? [] : ['--no-lanes']
    const relayWords = [...words, ...(plain ? ['--allow-plain'] : [])]
    const { control } = await startRelay(context, mode, files, sessions + 2, relayWords)
    const agents = await startAgents(place, control, files.certificate, sessions, true)
    const tunnel = await context.freePort()
    const relay = ['--relay', `${context.host}:${control}`, '--remote-port', String(tunnel), '--ca', files.certificate]
    const env = { PATH: process.env['PATH'], HOME: context.folder, MILLRACE_DATAPLANE: mode }
    const agent = [cli, 'tcp', `${place.loadHost}:${backend}`, ...relay, '--log-level', 'error', ...words]
    context.spawn(process.execPath, [...agent, ...(plain ? ['--plain'] : [])], { env })
    await context.awaitPort(tunnel)
    agents.process.stdin.write('probe\n')
    const figures = await burstOf(place, tunnel)
    agents.process.stdin.write('report\n')
    const answers = await agents.lines.next()
    if (answers === undefined) throw new Error('the agents have ended')
    return { ...figures, heartbeat_worst_ms: numberIn(answers, 'worst_ms') }
  } finally {
    place.end()
  }
}

function measure(contender: Contender): Promise<Figures> {
  const how = millraceHow(contender.name)
  if (how !== undefined) return measureOurs(how)
  return inFreshPlace(contender, ({ place, running }) => burstOf(place, running.port))
}

/** Many at once, on a cold pool. */
export const burst: Scenario = {
  name: 'burst',
  about:
    '2 000 visitors at the same moment through a tunnel that has just been opened, each with 64 bytes there and back and an end: all must be served; time from connect to the end of the visit; of ours also how long the relay took to answer the pings of 100 other agents',
  contenders: ['tunnels'],
  run: (bench) => {
    const names = bench.contenders.map(({ name }) => name)
    return takeTurns(
      bench,
      { scenario: 'burst', case: '2000 at once', rounds: Math.min(3, bench.effort.rounds) },
      names,
      (name) => {
        const contender = bench.contenders.find((each) => each.name === name)
        if (contender === undefined) throw new Error(`there is no ${name}`)
        return measure(contender)
      },
    )
  },
}
