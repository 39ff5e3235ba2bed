import { numberIn, runLoad } from '../lib/load.ts'
import { Place } from '../lib/place.ts'
import { type Scenario, takeTurns } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'

const connections = 64

async function measure(name: string, joins: number): Promise<Figures> {
  const place = new Place()
  try {
    const script = await place.context(0).script('contenders/handover.ts', [name, place.relayHost])
    const port = numberIn(script.hello, 'port')
    const visit = (visits: number): ReturnType<typeof runLoad> =>
      runLoad(place, place.relayHost, { verb: 'visit', port, connections, visits, pids: [script.pid] })
    // Code is compiled, and caches are filled, by the first of them.
    await visit(10_000)
    const before = await script.ask('look')
    const result = await visit(joins * 2)
    const after = await script.ask('look')
    const taken = numberIn(after, 'taken') - numberIn(before, 'taken')
    if (taken !== joins) throw new Error(`${taken} pairs were taken, of ${joins}`)
    if (numberIn(after, 'live') > 0) throw new Error(`${numberIn(after, 'live')} joins have not ended`)
    const grown = (what: string): number => numberIn(after, what) - numberIn(before, what)
    return {
      cpu_us_per_join: (result.cpu / joins) * 1e6,
      left_over: grown('descriptors'),
      pipes: grown('pipe_ends') / 2,
      heap_growth_kib: grown('heap_kib'),
    }
  } finally {
    place.end()
  }
}

/** Two sockets of Node at a time. */
export const handover: Scenario = {
  name: 'handover',
  about:
    'two sockets that Node accepted are joined with join() and end, 64 visitors at once; the base, accept-destroy, accepts and destroys the same two; what 100 000 joins leave behind is there too',
  contenders: ['accept-destroy', 'stream', 'copy', 'splice', 'adaptive'],
  run: async (bench) => {
    const names = bench.contenders.map(({ name }) => name)
    const turns = (joins: number, contenders: readonly string[], rounds?: number): ReturnType<typeof takeTurns> => {
      const of = { scenario: 'handover', case: `${joins} joins`, ...(rounds === undefined ? {} : { rounds }) }
      return takeTurns(bench, of, contenders, (name) => measure(name, joins))
    }
    const rows = await turns(20_000, names)
    if (bench.effort.scale < 1) return rows
    const few = names.filter((name) => name === 'accept-destroy' || name === 'adaptive')
    return [...rows, ...(await turns(100_000, few, 1))]
  },
}
