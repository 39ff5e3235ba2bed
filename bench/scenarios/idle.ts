import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender } from '../lib/contender.ts'
import { type LoadProcess, loadArguments, numberIn, startLoad } from '../lib/load.ts'
import { cpuSeconds, descriptorsOf, residentKibOf } from '../lib/process.ts'
import { type Bench, inFreshPlace, type Scenario, type Subject, takeTurns } from '../lib/scenario.ts'
import { type Figures, median } from '../lib/summary.ts'

const few = 1000
/** The time after the last message that a contender has to come to rest, ms. */
const restMs = 1000
/** V8 tidies up in a few steps, from some 8 s after the forced collections on. Everybody gets as long. */
const longRestMs = 20_000

/** Opens connections, each of which has carried one message; resolves once all have. */
async function open(subject: Subject, connections: number): Promise<LoadProcess> {
  const { place, running } = subject
  const options = { verb: 'idle', port: running.port, connections } as const
  const load = startLoad(place, loadArguments(place.relayHost, options))
  if ((await load.lines.next()) === undefined) await load.done
  return load
}

/** KiB: of our own proxies after two forced collections, of every other as it is. */
async function resident({ running }: Subject): Promise<number> {
  if (running.script === undefined) return residentKibOf(running.pids)
  return numberIn(await running.script.ask('memory'), 'kib')
}

/** What reading the counters of all joins takes, ms: the median of some reads. */
async function countersMs({ contender, running }: Subject): Promise<Figures> {
  if (running.script === undefined || contender.name === 'node-pipe') return {}
  const times: number[] = []
  for (let read = 0; read < 11; read += 1) times.push(numberIn(await running.script.ask('counters'), 'ms'))
  return { counters_ms: median(times) }
}

async function measure(subject: Subject, many: number, quick: boolean): Promise<Figures> {
  const { pids } = subject.running
  await sleep(restMs)
  const pipesBefore = descriptorsOf(pids).pipeEnds
  await open(subject, few)
  await sleep(restMs)
  const kibOfFew = await resident(subject)
  await open(subject, many - few)
  await sleep(restMs)
  const kibOfMany = await resident(subject)
  const pipes = (descriptorsOf(pids).pipeEnds - pipesBefore) / 2
  const counters = await countersMs(subject)
  // What was done to find that out is not the joins' doing. V8 begins anew with the collections.
  await resident(subject)
  await sleep(quick ? restMs : longRestMs)
  const [began, cpuBefore] = [performance.now(), cpuSeconds(pids)]
  await sleep(quick ? 1000 : 4000)
  const idle = (cpuSeconds(pids) - cpuBefore) / ((performance.now() - began) / 1000)
  return { rss_kib_per_join: (kibOfMany - kibOfFew) / (many - few), pipes, idle_cpu_percent: idle * 100, ...counters }
}

function runWith(bench: Bench, contenders: readonly Contender[], many: number): ReturnType<Scenario['run']> {
  const quick = bench.effort.scale < 1
  const rounds = quick ? 1 : 3
  const names = contenders.map(({ name }) => name)
  return takeTurns(bench, { scenario: 'idle', case: `${many} joins`, rounds }, names, (name) => {
    const contender = contenders.find((each) => each.name === name)
    if (contender === undefined) throw new Error(`there is no ${name}`)
    return inFreshPlace(contender, (subject) => measure(subject, many, quick))
  })
}

/** Connections that do nothing. */
export const idle: Scenario = {
  name: 'idle',
  about:
    'joins that have carried one message and then nothing: resident memory from the 1 000th to the last one, pipes, CPU, and what reading all counters takes; 9 000 through one hop, 3 000 through tunnels (relay and agent summed, no forced collections there)',
  contenders: ['hops', 'tunnels'],
  run: async (bench) => [
    ...(await runWith(
      bench,
      bench.contenders.filter(({ kind }) => kind === 'hop'),
      9000,
    )),
    ...(await runWith(
      bench,
      bench.contenders.filter(({ kind }) => kind === 'tunnel'),
      3000,
    )),
  ],
}
