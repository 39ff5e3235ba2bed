import { cpus } from 'node:os'
import { type Case, measureInRounds, type Scenario } from '../lib/scenario.ts'
import type { Row } from '../lib/summary.ts'
import { bulkCase } from './bulk.ts'
import { echoCase } from './echo.ts'

/** More workers. */
export const scaling: Scenario = {
  name: 'scaling',
  about:
    'eight flows, and 64 B messages on 256 connections, with 1 to as many workers as there are cores; nothing is pinned, so load and relay share the cores: no verdict without cores to spare',
  contenders: ['adaptive', 'copy', 'splice'],
  run: async (bench) => {
    const rows: Row[] = []
    const bytes = Math.round(1e9 * bench.effort.scale)
    for (let workers = 1; workers <= Math.min(cpus().length, 64); workers += 1) {
      const named = (each: Case): Case => ({
        ...each,
        name: `${each.name}, ${workers} worker${workers > 1 ? 's' : ''}`,
      })
      const cases = [bulkCase('8 flows down', 8, false, bytes), echoCase(64, 256, bench.effort.scale)].map(named)
      const contenders = bench.contenders.map((contender) => ({
        ...contender,
        start: (context: Parameters<typeof contender.start>[0]) =>
          contender.start({
            ...context,
            script: (file, args, environment) =>
              context.script(file, args, { ...environment, MILLRACE_WORKERS: String(workers) }),
          }),
      }))
      rows.push(...(await measureInRounds({ ...bench, contenders }, 'scaling', cases, { place: { unpinned: true } })))
    }
    return rows
  },
}
