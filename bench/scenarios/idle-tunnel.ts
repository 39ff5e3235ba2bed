import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { millraceHow } from '../contenders/millrace.ts'
import type { Contender, Context } from '../lib/contender.ts'
import { loadArguments, startLoad } from '../lib/load.ts'
import { Place } from '../lib/place.ts'
import { residentKibOf } from '../lib/process.ts'
import { type Scenario, type Subject, startContender, startService, takeTurns } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'

const few = 1000
const many = 9000
/** After the last message, and after the collections, ms. */
const restMs = 1500
/** Loaded before the command line of ours, so that its garbage can be collected from outside. */
const collector = fileURLToPath(new URL('../contenders/collect-on-signal.mjs', import.meta.url))

/** The young generation has its full size from the start: its growth would be taken for the visitors'. */
const flags = ['--expose-gc', '--min-semi-space-size=16', '--import', collector]

/** Opens connections, each of which has carried one message; resolves once all have. */
async function open({ place, running }: Subject, connections: number): Promise<void> {
  const options = { verb: 'idle', port: running.port, connections } as const
  const load = startLoad(place, loadArguments(place.relayHost, options))
  if ((await load.lines.next()) === undefined) await load.done
}

/** KiB of each process after a collection. */
async function resident({ running }: Subject): Promise<readonly number[]> {
  await sleep(restMs)
  for (const pid of running.pids) process.kill(pid, 'SIGPWR')
  await sleep(restMs)
  return running.pids.map((pid) => residentKibOf([pid]))
}

async function measure(contender: Contender): Promise<Figures> {
  const place = new Place()
  try {
    const start = (context: Context) => {
      const spawn: Context['spawn'] = (command, args, options) => context.spawn(command, [...flags, ...args], options)
      return contender.start({ ...context, spawn })
    }
    const subject = await startContender(place, { ...contender, start }, await startService(place))
    // What there is of it is then in use.
    await subject.load({ verb: 'connect', connections: 32, seconds: 2 })
    await open(subject, few)
    const before = await resident(subject)
    await open(subject, many - few)
    const [relay = Number.NaN, agent = Number.NaN] = (await resident(subject)).map(
      (kib, index) => (kib - (before[index] ?? Number.NaN)) / (many - few),
    )
    return { relay_rss_kib_per_join: relay, agent_rss_kib_per_join: agent }
  } finally {
    place.end()
  }
}

/** Visitors of whole tunnels of ours that do nothing. */
export const idleTunnel: Scenario = {
  name: 'idle-tunnel',
  about:
    '9 000 visitors of a whole tunnel of ours that have carried one message and then nothing: resident memory of relay and of agent from the 1 000th to the last one, after a forced collection',
  contenders: ['millrace', 'millrace-plain', 'millrace-no-lanes', 'millrace-plain-no-lanes'],
  run: (bench) => {
    const ours = bench.contenders.filter(({ name }) => millraceHow(name) !== undefined)
    const names = ours.map(({ name }) => name)
    return takeTurns(
      bench,
      { scenario: 'idle-tunnel', case: `${many} visitors`, rounds: Math.min(3, bench.effort.rounds) },
      names,
      (name) => {
        const contender = ours.find((each) => each.name === name)
        if (contender === undefined) throw new Error(`there is no ${name}`)
        return measure(contender)
      },
    )
  },
}
