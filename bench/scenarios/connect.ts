import { type Case, measureInRounds, type Scenario, type Subject } from '../lib/scenario.ts'

/** Before its first round, whatever the effort: so long has each contender visitors, s. */
const warmUp = 3

/** Those that have had them. */
const warm = new WeakSet<Subject>()

/** A case in which each of `connections` visitors connects, sends 64 bytes, gets them back, sees the end, and starts again. */
export function connectCase(connections: number, seconds: number): Case {
  return {
    name: `${connections} at once`,
    measure: async (subject) => {
      if (!warm.has(subject)) await subject.load({ verb: 'connect', connections, seconds: warmUp })
      warm.add(subject)
      const result = await subject.load({ verb: 'connect', connections, seconds, warmup: Math.min(0.2, seconds / 4) })
      const speed = {
        connections_s: result.connections / result.seconds,
        p50_us: result.p50,
        p99_us: result.p99,
      }
      if (subject.running.pids.length === 0) return speed
      return { ...speed, cpu_us_per_connection: (result.cpu / result.connections) * 1e6 }
    },
  }
}

/** A connection per request, through whole tunnels. */
export const connect: Scenario = {
  name: 'connect',
  about:
    'a connection per request through whole tunnels, 32 at once; beside it one hop, `haproxy`; each has had visitors for 3 s before its first round',
  contenders: ['direct', 'tunnels', 'haproxy'],
  run: (bench) => measureInRounds(bench, 'connect', [connectCase(32, bench.effort.scale)]),
}

/** A connection per request, through one hop. */
export const proxyConnect: Scenario = {
  name: 'proxy-connect',
  about:
    'a connection per request through one hop, 32 and 256 at once; ours decides on each visitor in JavaScript; each has had visitors for 3 s before its first round',
  contenders: ['direct', 'hops'],
  run: (bench) => {
    const cases = [connectCase(32, bench.effort.scale), connectCase(256, bench.effort.scale)]
    return measureInRounds(bench, 'proxy-connect', cases)
  },
}
