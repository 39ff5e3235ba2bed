/** Figures of several rounds in one. */

/** The median of `values`; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
}

/** One line of the results. */
export interface Row {
  readonly scenario: string
  readonly case: string
  readonly contender: string
  readonly metric: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** How many rounds. */
  readonly runs: number
  /** The figure of each round, in their order: those of one place were measured one after another. */
  readonly values: readonly number[]
}

/** The unit of every metric that is measured. */
export const units = {
  cpu_s_per_gb: 's/GB',
  gbit_s: 'Gbit/s',
  round_trips_s: '1/s',
  p50_us: 'µs',
  p99_us: 'µs',
  cpu_us_per_round_trip: 'µs',
  connections_s: '1/s',
  cpu_us_per_connection: 'µs',
  handshakes_core_s: '1/s of a core',
  resumed_percent: '%',
  cpu_percent: '%',
  cpu_us_per_join: 'µs',
  rss_kib_per_join: 'KiB',
  relay_rss_kib_per_join: 'KiB',
  agent_rss_kib_per_join: 'KiB',
  pipes: 'pipes',
  idle_cpu_percent: '%',
  counters_ms: 'ms',
  left_over: 'descriptors',
  heap_growth_kib: 'KiB',
  first_byte_ms: 'ms',
  requests_s: '1/s',
  cpu_us_per_request: 'µs',
  heartbeat_p99_ms: 'ms',
  heartbeat_worst_ms: 'ms',
} as const

/** A metric's name. */
export type Metric = keyof typeof units

/** The figures of one measurement. */
export type Figures = Partial<Record<Metric, number>>

/** The rows of one contender in one case, from the figures of its rounds. */
export function rowsOf(scenario: string, name: string, contender: string, rounds: readonly Figures[]): Row[] {
  const metrics = new Set(rounds.flatMap((figures) => Object.keys(figures)))
  return Object.entries(units).flatMap(([metric, unit]) => {
    if (!metrics.has(metric)) return []
    const values = rounds.flatMap((figures) => {
      const value = new Map(Object.entries(figures)).get(metric)
      return value === undefined ? [] : [value]
    })
    const row = { median: median(values), min: Math.min(...values), max: Math.max(...values), runs: values.length }
    return [{ scenario, case: name, contender, metric, unit, ...row, values }]
  })
}
