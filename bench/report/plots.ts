/** Which pictures the report has. */
import { type Metric, units } from '../lib/summary.ts'
import type { Merged } from './merge.ts'
import { drawPicture, type PlotBar } from './svg.ts'

interface Plot {
  readonly file: string
  readonly title: string
  readonly scenario: string
  readonly metric: Metric
  /** Default: every case that has the metric. */
  readonly cases?: readonly string[]
}

const plots: readonly Plot[] = [
  { file: 'bulk-cpu', title: 'Bulk: CPU of the relaying processes', scenario: 'bulk', metric: 'cpu_s_per_gb' },
  { file: 'bulk-speed', title: 'Bulk: speed', scenario: 'bulk', metric: 'gbit_s' },
  {
    file: 'echo-cpu',
    title: 'Echo: CPU of the relaying processes',
    scenario: 'echo',
    metric: 'cpu_us_per_round_trip',
    cases: ['64 B x 32', '64 B x 256', '16 KiB x 32', '256 KiB x 32'],
  },
  {
    file: 'echo-rate',
    title: 'Echo: round trips',
    scenario: 'echo',
    metric: 'round_trips_s',
    cases: ['64 B x 32', '64 B x 256'],
  },
  {
    file: 'echo-p99',
    title: 'Echo: latency, 99th percentile',
    scenario: 'echo',
    metric: 'p99_us',
    cases: ['64 B x 32', '64 B x 256'],
  },
  { file: 'connect', title: 'Connections through whole tunnels', scenario: 'connect', metric: 'connections_s' },
  {
    file: 'connect-cpu',
    title: 'Connections through whole tunnels: CPU',
    scenario: 'connect',
    metric: 'cpu_us_per_connection',
  },
  { file: 'first-byte', title: 'First byte of a new visitor: median', scenario: 'first-byte', metric: 'p50_us' },
  { file: 'burst', title: '2 000 visitors at once: 99th percentile', scenario: 'burst', metric: 'p99_us' },
  { file: 'http', title: 'HTTP requests through whole tunnels', scenario: 'http', metric: 'requests_s' },
  { file: 'idle-memory', title: 'Idle: memory of one join', scenario: 'idle', metric: 'rss_kib_per_join' },
  { file: 'mixed-p99', title: 'Pings beside a bulk flow: 99th percentile', scenario: 'mixed', metric: 'p99_us' },
  { file: 'handover', title: 'Two Node sockets joined and ended', scenario: 'handover', metric: 'cpu_us_per_join' },
  { file: 'proxy-connect-rate', title: 'Plain proxy: connections', scenario: 'proxy-connect', metric: 'connections_s' },
  { file: 'proxy-connect-cpu', title: 'Plain proxy: CPU', scenario: 'proxy-connect', metric: 'cpu_us_per_connection' },
  { file: 'mtu1500-cpu', title: 'Bulk with an MTU of 1 500: CPU', scenario: 'mtu1500', metric: 'cpu_s_per_gb' },
  { file: 'tls-tunnel-cpu', title: 'Whole tunnels with TLS: CPU', scenario: 'tls-tunnel', metric: 'cpu_s_per_gb' },
  { file: 'tls-bulk-cpu', title: 'TLS in one hop: CPU', scenario: 'tls-bulk', metric: 'cpu_s_per_gb' },
  { file: 'tls-echo-cpu', title: 'TLS, 64 B: CPU', scenario: 'tls-echo', metric: 'cpu_us_per_round_trip' },
  { file: 'tls-handshakes', title: 'TLS handshakes', scenario: 'tls-handshakes', metric: 'handshakes_core_s' },
  { file: 'tls-mixed-p99', title: 'TLS pings: 99th percentile', scenario: 'tls-mixed', metric: 'p99_us' },
  {
    file: 'tls-storm-p99',
    title: 'A tunnel beside handshakes: 99th percentile',
    scenario: 'tls-storm',
    metric: 'p99_us',
  },
  { file: 'cold', title: 'From start to first byte', scenario: 'cold', metric: 'first_byte_ms' },
]

/** What one figure is of, in the words of a caption. */
const captions: Partial<Record<Metric, string>> = {
  cpu_s_per_gb: 'CPU seconds per GB',
  cpu_us_per_round_trip: 'CPU µs per round trip',
  cpu_us_per_connection: 'CPU µs per connection',
  cpu_us_per_join: 'CPU µs per join',
  round_trips_s: 'round trips a second',
  connections_s: 'connections a second',
  handshakes_core_s: 'handshakes for each CPU second',
  cpu_us_per_request: 'CPU µs per request',
  requests_s: 'requests a second',
}

/** True where more is better. */
export function moreIsBetter(metric: Metric): boolean {
  return metric.endsWith('_s')
}

/** How a contender is drawn. */
export function familyOf(name: string): PlotBar['family'] {
  if (name === 'adaptive' || name.startsWith('millrace')) return 'main'
  if (name === 'stream' || name === 'copy' || name === 'splice') return 'own'
  return name === 'direct' || name === 'accept-destroy' || name === 'openssl' ? 'base' : 'other'
}

/** A picture and where it belongs. */
export interface DrawnPlot {
  readonly file: string
  readonly title: string
  readonly scenario: string
  readonly svg: string
}

/** Draws every picture that there are figures for. */
export function drawPlots({ sections, contenders }: Merged): readonly DrawnPlot[] {
  const kinds = new Map(contenders.map(({ name, kind }) => [name, kind]))
  return plots.flatMap(({ file, title, scenario, metric, cases }) => {
    const measured = sections.find(({ name }) => name === scenario)?.cases ?? []
    const rows = measured.flatMap((each) => each.rows).filter((row) => row.metric === metric)
    const names = cases ?? [...new Set(rows.map((row) => row.case))]
    const panels = names.flatMap((name) => {
      const bars = rows
        .filter((row) => row.case === name)
        .map(({ contender, median, min, max }, index, all) => ({
          label: contender,
          family: familyOf(contender),
          median,
          min,
          max,
          apart: index > 0 && kinds.get(contender) !== kinds.get(all[index - 1]?.contender ?? ''),
        }))
      return bars.length === 0 ? [] : [{ title: name, bars }]
    })
    if (panels.length === 0) return []
    const what = captions[metric] ?? units[metric]
    const subtitle = `${what}, ${moreIsBetter(metric) ? 'more' : 'less'} is better`
    return [{ file: `${file}.svg`, title, scenario, svg: drawPicture({ title, subtitle, panels }) }]
  })
}
