/** What the bench must show, as data. `verdicts.ts` judges by it. */
import { laneBars } from './lane-bars.ts'
import type { Metric } from './summary.ts'
import { tlsBars, tunnelTlsBars } from './tls-bars.ts'

/** What a figure is compared with. */
export type Against =
  /** Each of these contenders in turn. */
  | { readonly each: readonly string[] }
  /** The one of these with the lowest median; where a bar asks for more, with the highest. */
  | { readonly best: readonly string[] }
  /** The same contender in another case. */
  | { readonly otherCase: string }
  /** Nothing: the limit is absolute. */
  | 'absolute'

/** One bar. */
export interface Bar {
  /** What is demanded, in words. */
  readonly bar: string
  readonly scenario: string
  readonly cases: readonly string[]
  readonly metric: Metric
  readonly contender: string
  readonly against: Against
  /** Of the ratio to `against`, or of the figure itself, before any tolerance. Exactly one of them is there. */
  readonly atMost?: number
  readonly atLeast?: number
  /** So much of the figure is not counted before it is compared. Default 0. */
  readonly less?: number
  /** Fewer rounds aren't judged. Default {@link minRounds}. */
  readonly rounds?: number
}

/** As many ratios make a verdict. */
export const minRounds = 7

/** Latencies at the edge and rates may miss their limit by this part. CPU, memory and counts may not. */
export function toleranceOf(metric: Metric): number {
  return metric === 'p99_us' || metric.endsWith('_s') ? 0.05 : 0
}

const flows8 = ['8 flows down', '8 flows up']
const flows = ['1 flow down', '1 flow up', ...flows8]
const echo64 = ['64 B x 32', '64 B x 256']
const otherHops = ['node-pipe', 'stream', 'copy', 'splice', 'haproxy', 'haproxy-splice', 'nginx-stream']
const otherTunnels = ['frp', 'frp-plain', 'frp-tls', 'rathole', 'rathole-tls', 'bore', 'chisel', 'ngrok']

function bulkCpu(): readonly Bar[] {
  const bar = (words: string, against: string, atMost: number): Bar => ({
    bar: `bulk, CPU per GB ≤ ${atMost.toFixed(2)} × ${words}`,
    scenario: 'bulk',
    cases: flows,
    metric: 'cpu_s_per_gb',
    contender: 'adaptive',
    against: { each: [against] },
    atMost,
  })
  return [
    bar('HAProxy splice-auto', 'haproxy-splice', 0.7),
    bar('a.pipe(b)', 'node-pipe', 0.4),
    bar('nginx stream', 'nginx-stream', 0.6),
    bar('our pure splice', 'splice', 1.1),
    {
      bar: 'bulk, whole plain tunnel, CPU per GB ≤ 0.60 × the best of frp, rathole, bore',
      scenario: 'bulk',
      cases: flows,
      metric: 'cpu_s_per_gb',
      contender: 'millrace-plain',
      against: { best: ['frp-plain', 'rathole', 'bore'] },
      atMost: 0.6,
    },
  ]
}

function bulkSpeed(contender: string, others: readonly string[]): Bar {
  return {
    bar: 'bulk, 8 flows, Gbit/s ≥ every relaying contender',
    scenario: 'bulk',
    cases: flows8,
    metric: 'gbit_s',
    contender,
    against: { each: others },
    atLeast: 1,
  }
}

const mtu: readonly Bar[] = ['copy', 'haproxy-splice'].map((against) => ({
  bar: `MTU 1500 bulk, CPU per GB ≤ 0.80 × ${against === 'copy' ? 'our own copy' : 'HAProxy splice-auto'}`,
  scenario: 'mtu1500',
  cases: ['1 flow down', '1 flow up'],
  metric: 'cpu_s_per_gb',
  contender: 'adaptive',
  against: { each: [against] },
  atMost: 0.8,
}))

const echoBar = {
  scenario: 'echo',
  cases: echo64,
  contender: 'adaptive',
  against: { each: ['haproxy', 'nginx-stream'] },
}
const echo: readonly Bar[] = [
  {
    ...echoBar,
    bar: 'echo 64 B, CPU per round trip ≤ 0.90 × HAProxy tcp and nginx stream',
    metric: 'cpu_us_per_round_trip',
    atMost: 0.9,
  },
  {
    ...echoBar,
    bar: 'echo 64 B, round trips/s ≥ 1.05 × HAProxy tcp and nginx stream',
    metric: 'round_trips_s',
    atLeast: 1.05,
  },
  { ...echoBar, bar: 'echo 64 B, p99 ≤ HAProxy tcp and nginx stream', metric: 'p99_us', atMost: 1 },
  {
    ...echoBar,
    bar: 'echo 64 B, whole plain tunnel, CPU per round trip ≤ 0.80 × rathole tcp and bore',
    metric: 'cpu_us_per_round_trip',
    contender: 'millrace-plain',
    against: { each: ['rathole', 'bore'] },
    atMost: 0.8,
  },
  {
    ...echoBar,
    bar: 'echo 256 KiB, CPU per round trip ≤ 0.60 × our own copy',
    cases: ['256 KiB x 1', '256 KiB x 32', '256 KiB x 256'],
    metric: 'cpu_us_per_round_trip',
    against: { each: ['copy'] },
    atMost: 0.6,
  },
]

const mixedCase = { scenario: 'mixed', cases: ['beside bulk'], contender: 'adaptive' }
const mixed: readonly Bar[] = [
  {
    ...mixedCase,
    bar: "mixed, p99 of the pings ≤ 0.3 × HAProxy's",
    metric: 'p99_us',
    against: { best: ['haproxy', 'haproxy-splice'] },
    atMost: 0.3,
  },
  {
    ...mixedCase,
    bar: "mixed, p99 of the pings ≤ 1.5 × nginx stream's",
    metric: 'p99_us',
    against: { each: ['nginx-stream'] },
    atMost: 1.5,
  },
  {
    ...mixedCase,
    bar: 'mixed, p99 of the pings with the bulk flow at 2 Gbit/s ≤ 2 × their p99 without it',
    cases: ['beside bulk at 2 Gbit/s'],
    metric: 'p99_us',
    against: { otherCase: 'pings alone' },
    atMost: 2,
  },
  {
    ...mixedCase,
    bar: 'mixed, the bulk flow keeps 0.9 of its CPU bar (0.70 / 0.9 × HAProxy splice-auto, beside the same pings)',
    metric: 'cpu_s_per_gb',
    against: { each: ['haproxy-splice'] },
    atMost: 0.7 / 0.9,
  },
]

/** The median of three is enough where a round opens thousands of connections and looks at what has become of them. */
const idleCase = {
  scenario: 'idle',
  cases: ['9000 joins'],
  contender: 'adaptive',
  against: 'absolute',
  rounds: 3,
} as const
const idle: readonly Bar[] = [
  { ...idleCase, bar: 'idle, 9 000 joins, memory of each ≤ 2 KiB', metric: 'rss_kib_per_join', atMost: 2 },
  { ...idleCase, bar: 'idle, 9 000 joins, 0 pipes', metric: 'pipes', atMost: 0 },
  { ...idleCase, bar: 'idle, 9 000 joins, CPU ≤ 0.1 %', metric: 'idle_cpu_percent', atMost: 0.1 },
  { ...idleCase, bar: 'reading the counters of 9 000 joins ≤ 2 ms', metric: 'counters_ms', atMost: 2 },
]

const handoverCase = { scenario: 'handover', cases: ['20000 joins'], contender: 'adaptive' }
const leftCase = {
  scenario: 'handover',
  cases: ['100000 joins'],
  contender: 'adaptive',
  against: 'absolute',
  rounds: 1,
} as const
const handover: readonly Bar[] = [
  {
    ...handoverCase,
    bar: 'handover, CPU per join ≤ 1.5 × accepting the same two in Node and destroying them',
    metric: 'cpu_us_per_join',
    against: { each: ['accept-destroy'] },
    atMost: 1.5,
  },
  { ...leftCase, bar: 'handover, no descriptor left by 100 000 joins', metric: 'left_over', atMost: 0 },
  { ...leftCase, bar: 'handover, no pipe left by 100 000 joins', metric: 'pipes', atMost: 0 },
  {
    ...leftCase,
    // 2.6 bytes a join: what a collection leaves behind differs by as much.
    bar: 'handover, the heap is back within 256 KiB after 100 000 joins',
    metric: 'heap_growth_kib',
    atMost: 256,
  },
]

const proxyCase = { scenario: 'proxy-connect', cases: ['32 at once', '256 at once'], contender: 'adaptive' }
const proxyConnect: readonly Bar[] = [
  {
    ...proxyCase,
    bar: 'proxy-connect, connections/s ≥ 1.0 × HAProxy tcp',
    metric: 'connections_s',
    against: { each: ['haproxy'] },
    atLeast: 1,
  },
  {
    ...proxyCase,
    bar: 'proxy-connect, connections/s ≥ 2.5 × a.pipe(b)',
    metric: 'connections_s',
    against: { each: ['node-pipe'] },
    atLeast: 2.5,
  },
  {
    ...proxyCase,
    bar: "proxy-connect, CPU per connection ≤ 1.05 × HAProxy's",
    metric: 'cpu_us_per_connection',
    against: { each: ['haproxy'] },
    atMost: 1.05,
  },
]

/** Every bar, in the order of the report. */
export const bars: readonly Bar[] = [
  ...bulkCpu(),
  bulkSpeed('adaptive', otherHops),
  bulkSpeed('millrace-plain', otherTunnels),
  ...mtu,
  ...echo,
  ...mixed,
  ...idle,
  ...handover,
  ...proxyConnect,
  ...laneBars,
  ...tunnelTlsBars,
  ...tlsBars,
]
