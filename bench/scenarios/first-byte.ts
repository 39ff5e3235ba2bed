import { setTimeout as sleep } from 'node:timers/promises'
import { type Case, measureInRounds, type Scenario } from '../lib/scenario.ts'

/** Visits a second: each finds everybody at rest. */
const rate = 100

/** After the visits before it, ms. */
const restMs = 300

/** New visitors, one at a time. */
export const firstByte: Scenario = {
  name: 'first-byte',
  about:
    'a new visitor every 10 ms through whole tunnels on an otherwise idle machine: the time from connect to the first of the 64 bytes that come back',
  contenders: ['direct', 'tunnels'],
  run: (bench) => {
    const one: Case = {
      name: 'one at a time',
      measure: async (subject) => {
        const seconds = 4 * bench.effort.scale
        // What is compiled only when it is used often is so before.
        await subject.load({ verb: 'connect', connections: 8, seconds: Math.max(1, seconds / 4), warmup: 0 })
        await sleep(restMs)
        const load = { verb: 'connect', connections: 8, rate, seconds, warmup: 0.5, first: true } as const
        const { p50, p99 } = await subject.load(load)
        return { p50_us: p50, p99_us: p99 }
      },
    }
    return measureInRounds(bench, 'first-byte', [one])
  },
}
