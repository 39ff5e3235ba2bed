/** The bars of what speaks TLS. */
import type { Bar } from './bars.ts'

const tunnelTls = {
  scenario: 'tls-tunnel',
  cases: ['1 flow down', '1 flow up', '8 flows down', '8 flows up'],
  metric: 'cpu_s_per_gb',
  contender: 'millrace',
} as const
/** Of whole tunnels. */
export const tunnelTlsBars: readonly Bar[] = [
  {
    ...tunnelTls,
    bar: 'TLS tunnel in whole, as it comes, CPU per GB ≤ 0.45 × frp as it comes',
    against: { each: ['frp'] },
    atMost: 0.45,
  },
  {
    ...tunnelTls,
    bar: 'TLS tunnel in whole, as it comes, CPU per GB ≤ 0.65 × the best of frp without mux, rathole TLS, ngrok 1.x',
    against: { best: ['frp-tls', 'rathole-tls', 'ngrok'] },
    atMost: 0.65,
  },
]

const tlsBulkCases = ['plain to TLS down', 'plain to TLS up', 'TLS to TLS down', 'TLS to TLS up']
const tlsBulk: readonly Bar[] = [
  ['our stream data plane', 'stream', 0.55] as const,
  ['OpenSSL sending and receiving the same bytes', 'openssl', 1.25] as const,
].map(([words, against, atMost]) => ({
  bar: `TLS bulk, CPU per GB ≤ ${atMost} × ${words}`,
  scenario: 'tls-bulk',
  cases: tlsBulkCases,
  metric: 'cpu_s_per_gb',
  contender: 'adaptive',
  against: { each: [against] },
  atMost,
}))

const besideNginx = { contender: 'adaptive', against: { each: ['nginx-stream'] } }
/** Of one hop. */
export const tlsBars: readonly Bar[] = [
  ...tlsBulk,
  {
    ...besideNginx,
    bar: "TLS echo 64 B, CPU per round trip ≤ nginx stream's",
    scenario: 'tls-echo',
    cases: ['64 B x 32'],
    metric: 'cpu_us_per_round_trip',
    atMost: 1,
  },
  {
    ...besideNginx,
    bar: "TLS echo 64 B, p99 ≤ nginx stream's",
    scenario: 'tls-echo',
    cases: ['64 B x 32'],
    metric: 'p99_us',
    atMost: 1,
  },
  {
    ...besideNginx,
    bar: 'TLS handshakes a second of a core ≥ 0.8 × nginx stream',
    scenario: 'tls-handshakes',
    cases: ['full, 32 at once', 'resumed, 32 at once'],
    metric: 'handshakes_core_s',
    atLeast: 0.8,
  },
  {
    bar: 'TLS pings, p99 beside 1 000 handshakes a second ≤ 2 × their p99 alone',
    scenario: 'tls-mixed',
    cases: ['beside handshakes'],
    metric: 'p99_us',
    contender: 'adaptive',
    against: { otherCase: 'pings alone' },
    atMost: 2,
  },
  {
    bar: 'a whole relay beside 1 000 TLS connections a second: every heartbeat is answered within 1 s',
    scenario: 'tls-storm',
    cases: ['beside handshakes'],
    metric: 'heartbeat_worst_ms',
    contender: 'adaptive',
    against: 'absolute',
    atMost: 1000,
  },
  {
    bar: 'a whole relay beside 1 000 TLS connections a second: p99 of pings through a tunnel ≤ 2 × their p99 alone',
    scenario: 'tls-storm',
    cases: ['beside handshakes'],
    metric: 'p99_us',
    contender: 'adaptive',
    against: { otherCase: 'alone' },
    atMost: 2,
  },
  {
    bar: 'heartbeats of 5 000 sessions cost less than on Node’s TLS',
    scenario: 'heartbeats',
    cases: ['5000 sessions'],
    metric: 'cpu_percent',
    contender: 'adaptive',
    against: { each: ['stream'] },
    atMost: 1,
    rounds: 3,
  },
]
