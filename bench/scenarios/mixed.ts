import { type Case, measureInRounds, type Scenario, type Subject } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'

const connections = 1000
/** Round trips a second of all together: far from what any contender can do. */
const rate = 2000
/** 2 Gbit/s. */
const paceKib = Math.round(2e9 / 8 / 1024)

/** Pings before everything else on the load's core, so that their own waiting there is not measured. */
async function ping(subject: Subject, seconds: number): Promise<Figures> {
  const result = await subject.load({ verb: 'echo', connections, rate, seconds, warmup: 0.3 }, true)
  return { round_trips_s: result.roundTrips / result.seconds, p50_us: result.p50, p99_us: result.p99 }
}

function mixedCase(name: string, seconds: number, pace: number): Case {
  return {
    name,
    measure: async (subject) => {
      // It starts before the pings and ends after them: their connections take a while to open.
      const bulk = subject.load({ verb: 'bulk', bytes: 0, pace, seconds: seconds + 0.3, warmup: 0.3 })
      const [flow, pings] = await Promise.all([bulk, ping(subject, seconds)])
      const figures = { ...pings, gbit_s: (flow.bytes * 8) / 1e9 / flow.seconds }
      return subject.running.pids.length === 0 ? figures : { ...figures, cpu_s_per_gb: (flow.cpu / flow.bytes) * 1e9 }
    },
  }
}

/** A flow beside many quiet connections. */
export const mixed: Scenario = {
  name: 'mixed',
  about:
    'one bulk flow to the visitor beside 1 000 connections with 2 000 round trips of 64 B a second in all; the CPU per GB has that of the pings in it',
  contenders: ['direct', 'hops'],
  run: (bench) => {
    const seconds = 1.5 * bench.effort.scale
    const alone: Case = { name: 'pings alone', measure: (subject) => ping(subject, seconds) }
    const cases = [alone, mixedCase('beside bulk', seconds, 0), mixedCase('beside bulk at 2 Gbit/s', seconds, paceKib)]
    return measureInRounds(bench, 'mixed', cases, { urgentService: true })
  },
}
