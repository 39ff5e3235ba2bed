/** The bars of whole tunnels whose visitors come on lanes. */
import type { Bar } from './bars.ts'

const plainPeers = ['rathole', 'bore', 'frp-plain', 'frp']
const peers = ['frp', 'frp-plain', 'frp-tls', 'rathole', 'rathole-tls', 'bore', 'chisel', 'ngrok']

const connectCase = { scenario: 'connect', cases: ['32 at once'], contender: 'millrace' }
const connect: readonly Bar[] = [
  {
    ...connectCase,
    bar: 'connect with TLS, connections/s ≥ 1.2 × the best of rathole (plain), bore (plain) and frp',
    metric: 'connections_s',
    against: { best: plainPeers },
    atLeast: 1.2,
  },
  {
    ...connectCase,
    bar: 'connect with TLS, connections/s ≥ 2 × frp as it comes',
    metric: 'connections_s',
    against: { each: ['frp'] },
    atLeast: 2,
  },
  {
    ...connectCase,
    bar: 'connect with TLS, connections/s ≥ 0.6 × HAProxy tcp, one hop',
    metric: 'connections_s',
    against: { each: ['haproxy'] },
    atLeast: 0.6,
  },
  {
    ...connectCase,
    bar: 'connect with TLS, CPU per visitor of relay and agent ≤ 0.8 × the best of rathole (plain), bore (plain) and frp',
    metric: 'cpu_us_per_connection',
    against: { best: plainPeers },
    atMost: 0.8,
  },
]

const firstByteCase = { scenario: 'first-byte', cases: ['one at a time'], contender: 'millrace' }
const firstByte: readonly Bar[] = [
  {
    ...firstByteCase,
    bar: 'first byte of a new visitor with TLS, p50 ≤ 1.3 × direct + 150 µs (measured: less 150 µs)',
    metric: 'p50_us',
    against: { each: ['direct'] },
    less: 150,
    atMost: 1.3,
  },
  {
    ...firstByteCase,
    bar: 'first byte of a new visitor with TLS, p99 below every peer’s',
    metric: 'p99_us',
    against: { each: peers },
    atMost: 1,
  },
]

const plainBulk: readonly Bar[] = [
  {
    bar: 'bulk, a plain lane, CPU per GB ≤ 1.05 × the same tunnel without lanes',
    scenario: 'bulk',
    cases: ['1 flow down', '1 flow up', '8 flows down', '8 flows up'],
    metric: 'cpu_s_per_gb',
    contender: 'millrace-plain',
    against: { each: ['millrace-plain-no-lanes'] },
    atMost: 1.05,
  },
]

function echo(words: string, contender: string, against: string, atLeast: number): Bar {
  return {
    bar: `echo 64 B, whole tunnel, round trips/s ≥ ${atLeast} × ${words}`,
    scenario: 'echo',
    cases: ['64 B x 32'],
    metric: 'round_trips_s',
    contender,
    against: { each: [against] },
    atLeast,
  }
}

const burstCase = { scenario: 'burst', cases: ['2000 at once'], contender: 'millrace', rounds: 3 } as const
const idleCase = { scenario: 'idle-tunnel', cases: ['9000 visitors'], against: 'absolute', rounds: 3 } as const

function idle(words: string, contender: string, side: 'relay' | 'agent', kib: number): Bar {
  return {
    ...idleCase,
    bar: `9 000 idle visitors, ${words}, memory of each at the ${side} ≤ ${kib} KiB`,
    metric: `${side}_rss_kib_per_join`,
    contender,
    atMost: kib,
  }
}

/** In the order of the report. */
export const laneBars: readonly Bar[] = [
  ...connect,
  ...firstByte,
  ...plainBulk,
  echo('without lanes, plain', 'millrace-plain', 'millrace-plain-no-lanes', 0.97),
  echo('without lanes, TLS', 'millrace', 'millrace-no-lanes', 0.97),
  echo('rathole, both plain', 'millrace-plain', 'rathole', 1.2),
  echo('rathole, both with TLS', 'millrace', 'rathole-tls', 1.3),
  {
    ...burstCase,
    bar: '2 000 visitors at once on a cold pool, with TLS: all served, p99 ≤ 1 s',
    metric: 'p99_us',
    against: 'absolute',
    atMost: 1_000_000,
  },
  {
    ...burstCase,
    bar: '2 000 visitors at once on a cold pool, with TLS: every heartbeat of 100 other agents is answered within 1 s',
    metric: 'heartbeat_worst_ms',
    against: 'absolute',
    atMost: 1000,
  },
  idle('plain', 'millrace-plain', 'relay', 3),
  idle('plain', 'millrace-plain', 'agent', 3),
  idle('TLS', 'millrace', 'relay', 18),
  idle('TLS', 'millrace', 'agent', 24),
]
