import { type Case, measureInRounds, type Scenario, type Subject } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'

/** A case that moves `bytes` on each of `connections` connections. */
export function bulkCase(name: string, connections: number, up: boolean, bytes: number): Case {
  return {
    name,
    measure: async (subject: Subject): Promise<Figures> => {
      const result = await subject.load({ verb: 'bulk', connections, up, bytes: Math.ceil(bytes / connections) })
      const speed = { gbit_s: (result.bytes * 8) / 1e9 / result.seconds }
      return subject.running.pids.length === 0 ? speed : { ...speed, cpu_s_per_gb: (result.cpu / result.bytes) * 1e9 }
    },
  }
}

/** Flows as fast as they go. */
export const bulk: Scenario = {
  name: 'bulk',
  about: 'one and eight flows, as fast as they go, to the visitor (down) and to the service (up)',
  contenders: ['*'],
  run: (bench) => {
    const bytes = Math.round(1e9 * bench.effort.scale)
    return measureInRounds(bench, 'bulk', [
      bulkCase('1 flow down', 1, false, bytes),
      bulkCase('1 flow up', 1, true, bytes),
      bulkCase('8 flows down', 8, false, bytes),
      bulkCase('8 flows up', 8, true, bytes),
    ])
  },
}
