import type { Result } from '../../bench/lib/result.ts'
import { type Figures, type Row, rowsOf } from '../../bench/lib/summary.ts'

/** Seven rounds around `middle`, the same every time. */
export function rounds(middle: Figures, count = 7): readonly Figures[] {
  return Array.from({ length: count }, (_, round) =>
    Object.fromEntries(
      Object.entries(middle).map(([metric, value]) => [metric, value * (1 + (((round * 3) % 7) - 3) / 100)]),
    ),
  )
}

const bulkCpu: readonly (readonly [string, number])[] = [
  ['node-pipe', 1.2],
  ['splice', 0.5],
  ['adaptive', 0.45],
  ['haproxy', 0.9],
  ['haproxy-splice', 0.8],
  ['millrace-plain', 0.9],
  ['frp-plain', 2],
  ['bore', 1.8],
]

/** Rows of bulk in one case: everything passes but the bar against splice, and nginx is missing. */
export function bulkRows(name = '1 flow down', count = 7): readonly Row[] {
  return [
    ...rowsOf('bulk', name, 'direct', rounds({ gbit_s: 40 }, count)),
    ...bulkCpu.flatMap(([contender, cpu]) =>
      rowsOf('bulk', name, contender, rounds({ cpu_s_per_gb: cpu, gbit_s: 8 / cpu }, count)),
    ),
  ]
}

/** A run of the bench that nobody ran. */
export function sampleResult(changes: Partial<Result> = {}): Result {
  const contender = (name: string, kind: 'hop' | 'direct' | 'tunnel') => ({ name, kind, note: `a note on ${name}` })
  return {
    machine: {
      cpu: 'Processor <1>',
      cores: 2,
      memoryGib: 8,
      kernel: '6.1.0',
      congestionControl: 'cubic',
      node: 'v20.20.2',
      versions: { haproxy: 'HAProxy 2.6' },
    },
    commit: '0123456789ab',
    date: '2026-11-22T20:00:00.000Z',
    command: 'npm run bench -- bulk',
    effort: { rounds: 7, scale: 1 },
    scenarios: [{ name: 'bulk', about: 'one flow' }],
    contenders: [
      { ...contender('direct', 'direct'), missing: [] },
      ...bulkCpu.map(([name]) => ({ ...contender(name, 'hop'), missing: [] })),
      { ...contender('nginx-stream', 'hop'), missing: ['nginx'] },
    ],
    failures: [],
    rows: [...bulkRows('1 flow down'), ...bulkRows('8 flows down')],
    verdicts: [],
    ...changes,
  }
}
