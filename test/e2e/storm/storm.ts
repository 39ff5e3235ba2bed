import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Part } from '../../support/part.ts'
import { type RelayProcess, startRelay, token } from '../stage.ts'
import type { AgentsNews } from './agents.ts'

/** What was seen of agents that all lost their relay at once. */
export interface Storm {
  readonly count: number
  /** From the loss to the relay's listening again. */
  readonly awayMs: number
  /** From the loss to the last agent's tunnel. */
  readonly recoveredMs: number
  /** CPU of the new relay from its listening to then, s; NaN where the system doesn't tell. */
  readonly relayCpuSeconds: number
  /** Attempts in each second after the loss; the first of each agent, which is immediate, apart. */
  readonly firstDials: number
  readonly laterDials: readonly number[]
  /** Agents whose tunnel came up, in each second after the loss. */
  readonly ups: readonly number[]
}

const lookMs = 100

/** Clock ticks of `/proc/PID/stat` a second: what Linux shows to programs, whatever the kernel has (proc(5)). */
const ticksPerSecond = 100

/** Lets so many agents connect, kills their relay, starts it again, and watches them come back. */
export async function storm(t: TestContext, count: number, limitMs: number): Promise<Storm> {
  const relay = await startRelay(t, [], { https: false })
  const port = Number(relay.tunnel.split(':')[1])
  const agents = new Part<AgentsNews>(t, new URL('agents.ts', import.meta.url), { count, port, token }, 60_000)
  await allOnline(agents, count, limitMs)

  const lostAt = Date.now()
  relay.process.kill('SIGKILL')
  await relay.process.exit()
  const again = await startRelay(t, [], { again: relay, https: false })
  const awayMs = Date.now() - lostAt
  const cpuBefore = cpuSeconds(again)
  const news = await allOnline(agents, count, limitMs)
  const relayCpuSeconds = cpuSeconds(again) - cpuBefore
  const perSecond = (times: readonly number[]): readonly number[] => {
    const counts: number[] = []
    for (const time of times) {
      const second = Math.max(0, Math.floor((time - lostAt) / 1000))
      while (counts.length <= second) counts.push(0)
      counts[second] = (counts[second] ?? 0) + 1
    }
    return counts
  }
  const dials = news.flatMap((one) => one.dials)
  const losses = news.flatMap((one) => one.losses)
  assert.equal(losses.length, count, 'each lost its tunnel once')
  // The immediate retries: each is logged in the moment of a loss.
  const lastLoss = Math.max(...losses)
  const later = dials.filter((time) => time > lastLoss)
  const ups = news.flatMap((one) => one.ups)
  return {
    count,
    awayMs,
    recoveredMs: Math.max(...ups) - lostAt,
    relayCpuSeconds,
    firstDials: dials.length - later.length,
    laterDials: perSecond(later),
    ups: perSecond(ups),
  }
}

/** The same for people. */
export function describeStorm(storm: Storm): readonly string[] {
  const { count, awayMs, recoveredMs, relayCpuSeconds, firstDials, laterDials, ups } = storm
  const s = (ms: number): string => (ms / 1000).toFixed(1)
  return [
    `${count} agents lost their relay; it listened again after ${s(awayMs)} s; all were back after ${s(recoveredMs)} s`,
    `CPU of the relay from its start to then: ${relayCpuSeconds.toFixed(2)} s, ${((relayCpuSeconds * 1000) / count).toFixed(2)} ms an agent`,
    `attempts: ${firstDials} immediate ones, then in each second ${laterDials.join(' ')}`,
    `tunnels up in each second: ${ups.join(' ')}`,
  ]
}

async function allOnline(agents: Part<AgentsNews>, count: number, limitMs: number): Promise<readonly AgentsNews[]> {
  const news: AgentsNews[] = []
  const late = performance.now() + limitMs
  for (;;) {
    const one = await agents.ask()
    news.push(one)
    if (one.online === count && (news.length === 1 || one.losses.length === 0)) return news
    assert(performance.now() < late, `${one.online} of ${count} agents are up after ${limitMs} ms`)
    await sleep(lookMs)
  }
}

/** User and system time of a process so far, s. */
function cpuSeconds({ process: { pid } }: RelayProcess): number {
  try {
    // The name, the second field, may hold spaces, and ends with a parenthesis.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  } catch {
    return Number.NaN
  }
}
