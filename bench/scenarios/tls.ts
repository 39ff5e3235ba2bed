/** TLS in one hop: ours in the engine (`adaptive`) and on Node's TLS (`stream`), beside HAProxy, nginx and bare OpenSSL. */
import { loadArguments, resultOf, runLoad, startLoad } from '../lib/load.ts'
import { type Bench, type Case, measureInRounds, type Scenario, type Subject } from '../lib/scenario.ts'
import type { Figures, Row } from '../lib/summary.ts'
import { bulkCase } from './bulk.ts'
import { echoCase } from './echo.ts'

const contenders = ['direct', 'stream', 'adaptive', 'haproxy', 'nginx-stream']

/** What OpenSSL itself takes to send and receive so many bytes. */
async function cipherOnly({ place, secured }: Subject, bytes: number): Promise<Figures> {
  if (secured === undefined) throw new Error('there is no certificate')
  const { certificate, key } = secured
  const result = await runLoad(place, place.loadHost, { verb: 'cipher', bytes, certificate, key })
  return { cpu_s_per_gb: (result.cpu / result.bytes) * 1e9, gbit_s: (result.bytes * 8) / 1e9 / result.seconds }
}

function tlsBulkCase(name: string, connections: number, up: boolean, bytes: number): Case {
  const plain = bulkCase(name, connections, up, bytes)
  return {
    name,
    measure: (subject) => (subject.contender.name === 'openssl' ? cipherOnly(subject, bytes) : plain.measure(subject)),
  }
}

/** Flows through one hop with TLS. */
export const tlsBulk: Scenario = {
  name: 'tls-bulk',
  about:
    'one flow through one hop, TLS 1.3 with AES-128-GCM on the connection to the service only (plain to TLS) or on both; beside it what OpenSSL takes for the same bytes when nothing is relayed',
  contenders: [...contenders, 'openssl'],
  run: async (bench) => {
    const bytes = Math.round(1e9 * bench.effort.scale)
    const cases = (words: string): Case[] => [
      tlsBulkCase(`${words} down`, 1, false, bytes),
      tlsBulkCase(`${words} up`, 1, true, bytes),
    ]
    return [
      ...(await inPlace(bench, 'tls-bulk', cases('plain to TLS'), { visitor: false, service: true })),
      ...(await inPlace(bench, 'tls-bulk', cases('TLS to TLS'), { visitor: true, service: true })),
    ]
  },
}

/** Flows through whole tunnels with TLS. */
export const tlsTunnel: Scenario = {
  name: 'tls-tunnel',
  about:
    'one and eight flows through relay and agent with TLS between them, each project’s as it comes and frp without mux; beside it what OpenSSL takes to send and receive the same bytes once when nothing is relayed',
  contenders: ['millrace', 'frp', 'frp-tls', 'rathole-tls', 'ngrok', 'openssl'],
  run: (bench) => {
    const bytes = Math.round(1e9 * bench.effort.scale)
    const cases = [
      tlsBulkCase('1 flow down', 1, false, bytes),
      tlsBulkCase('1 flow up', 1, true, bytes),
      tlsBulkCase('8 flows down', 8, false, bytes),
      tlsBulkCase('8 flows up', 8, true, bytes),
    ]
    // Visitors and service are plain: the tunnels don't look at what is said here, OpenSSL takes its certificate.
    return inPlace(bench, 'tls-tunnel', cases, { visitor: false, service: false })
  },
}

/** The cases asked for; nothing is started when there is none. */
async function inPlace(
  bench: Bench,
  scenario: string,
  cases: readonly Case[],
  tls: { readonly visitor: boolean; readonly service: boolean },
  urgentService = false,
): Promise<Row[]> {
  const wanted = cases.filter(({ name }) => bench.wants(name))
  return wanted.length === 0 ? [] : measureInRounds(bench, scenario, wanted, { tls, urgentService })
}

/** Ping-pong, TLS on the visitor's side. */
export const tlsEcho: Scenario = {
  name: 'tls-echo',
  about: 'messages of 64 B that come back through one hop, on 32 connections, with TLS 1.3 on the side of the visitors',
  contenders,
  run: (bench) => inPlace(bench, 'tls-echo', [echoCase(64, 32, bench.effort.scale)], { visitor: true, service: false }),
}

/** Visits of one message each, every one with a handshake of its own. */
function handshakeCase(resume: boolean, connections: number, seconds: number): Case {
  return {
    name: `${resume ? 'resumed' : 'full'}, ${connections} at once`,
    measure: async (subject) => {
      const warmup = Math.min(0.2, seconds / 4)
      const result = await subject.load({ verb: 'connect', connections, seconds, warmup, resume })
      const share = { resumed_percent: (result.resumed / result.connections) * 100 }
      const rate = { connections_s: result.connections / result.seconds, p50_us: result.p50, p99_us: result.p99 }
      const speed = resume ? { ...rate, ...share } : rate
      if (subject.running.pids.length === 0) return speed
      const each = result.cpu / result.connections
      return { ...speed, cpu_us_per_connection: each * 1e6, handshakes_core_s: 1 / each }
    },
  }
}

/** A TLS connection per request. */
export const tlsHandshakes: Scenario = {
  name: 'tls-handshakes',
  about:
    'a TLS 1.3 connection per request (ECDSA P-256, X25519; 64 bytes there and back, then the end), 32 at once, terminated by one hop that dials the service for each; full handshakes and resumed ones. Handshakes a second of a core are connections by the CPU time that the hop took for them',
  contenders,
  run: (bench) => {
    const cases = [handshakeCase(false, 32, bench.effort.scale), handshakeCase(true, 32, bench.effort.scale)]
    return inPlace(bench, 'tls-handshakes', cases, { visitor: true, service: false })
  },
}

const connections = 1000
/** Round trips a second of all together. */
const rate = 2000
/** Visits a second. */
const newcomers = 1000

/** Pings while `meanwhile` runs, once the handshakes of the pings' own connections are done. */
async function pingDuring<T>(
  { place, running }: Subject,
  seconds: number,
  meanwhile: () => Promise<T>,
): Promise<{ readonly figures: Figures; readonly other: T }> {
  const options = { verb: 'echo', connections, rate, seconds, warmup: 0.3, tls: true, wait: true } as const
  const pings = startLoad(place, loadArguments(place.relayHost, { ...options, port: running.port }), true)
  if ((await pings.lines.next()) === undefined) await pings.done
  pings.end()
  const [other, result] = await Promise.all([meanwhile(), resultOf(pings)])
  const speed = { round_trips_s: result.roundTrips / result.seconds }
  return { figures: { ...speed, p50_us: result.p50, p99_us: result.p99 }, other }
}

function besideHandshakes(seconds: number): Case {
  const options = { verb: 'connect', connections: 200, rate: newcomers, warmup: 0.3 } as const
  return {
    name: 'beside handshakes',
    measure: async (subject) => {
      const visits = () => subject.load({ ...options, seconds })
      const { figures, other } = await pingDuring(subject, seconds, visits)
      return { ...figures, connections_s: other.connections / other.seconds }
    },
  }
}

/** Handshakes beside many quiet connections. */
export const tlsMixed: Scenario = {
  name: 'tls-mixed',
  about:
    '1 000 TLS connections with 2 000 round trips of 64 B a second in all, alone and beside 1 000 visits a second that are due, each with a full handshake; connections a second are those that came through, with one core for the hop and one for all of the load',
  contenders: ['stream', 'adaptive', 'nginx-stream'],
  run: (bench) => {
    const seconds = 1.5 * bench.effort.scale
    const alone: Case = {
      name: 'pings alone',
      measure: async (subject) => (await pingDuring(subject, seconds, () => Promise.resolve())).figures,
    }
    return inPlace(bench, 'tls-mixed', [alone, besideHandshakes(seconds)], { visitor: true, service: false }, true)
  },
}
