import { defaultsOf, type LimitTable, type LimitValues } from './limit.ts'
import { visitLimits } from './visit.ts'

const count = [1, 1_000_000] as const
const ms = [1, 3_600_000] as const

/**
 * What agents and visitors can make the relay hold or wait for. Each is a key below `limits:` in its config file, in
 * snake case. An address is an IPv4 address or an IPv6 /64.
 */
export const relayLimits = {
  sessions: {
    value: 1024,
    unit: 'count',
    range: count,
    what: 'Agents connected at once.',
    beyond: 'The connection is closed; the agent tries again later.',
    code: 'ERR_SESSION_LIMIT',
  },
  sessionsPerAddress: {
    value: 1024,
    unit: 'count',
    range: count,
    what: 'Of these, from one address.',
    beyond: 'The connection is closed; the agent tries again later.',
    code: 'ERR_ADDRESS_SESSIONS',
  },
  tunnels: {
    value: 16_384,
    unit: 'count',
    range: count,
    what: 'Tunnels of all agents together.',
    beyond: 'The request is refused.',
    code: 'ERR_RELAY_TUNNELS',
  },
  tunnelsPerSession: {
    value: 64,
    unit: 'count',
    range: count,
    what: 'Tunnels of one agent.',
    beyond: 'The request is refused.',
    code: 'ERR_TUNNEL_LIMIT',
  },
  controlMessageRate: {
    value: 100,
    unit: 'per second',
    range: count,
    what: "Messages of one agent, after a burst of ten seconds' worth. One counts once for each 1 KiB begun.",
    beyond: 'The session ends.',
    code: 'ERR_CONTROL_RATE',
  },
  handshakes: {
    value: 1024,
    unit: 'count',
    range: count,
    what: 'Connections to the tunnel port whose first message has not come.',
    beyond: 'The newest is reset.',
    code: 'ERR_HANDSHAKE_LIMIT',
  },
  handshakesPerAddress: {
    value: 768,
    unit: 'count',
    range: count,
    what: 'Of these, from one address.',
    beyond: 'The newest is reset.',
    code: 'ERR_ADDRESS_LIMIT',
  },
  failedHandshakeRate: {
    value: 100,
    unit: 'per second',
    range: count,
    what: "Connections of one address to the tunnel port that come to nothing, after a burst of twenty seconds' worth.",
    beyond: 'Further ones of that address are reset unheard.',
    code: 'ERR_CONNECTION_RATE',
  },
  pool: {
    value: 64,
    unit: 'count',
    range: count,
    what: 'Proxy connections of one agent that wait for visitors. Of lanes those without one: with one they are bounded as visitors are.',
    beyond: 'The newest is closed.',
    code: 'ERR_POOL_LIMIT',
  },
  waiters: {
    value: 4096,
    unit: 'count',
    range: count,
    what: 'Visitors of one agent that wait for a proxy connection. All together are bounded by `joins`.',
    beyond: 'HTTP 503, TCP reset.',
    code: 'ERR_POOL_FULL',
  },
  waiterTimeoutMs: {
    value: 10_000,
    unit: 'ms',
    range: ms,
    what: 'How long such a visitor waits.',
    beyond: 'HTTP 504, TCP reset.',
    code: 'ERR_POOL_TIMEOUT',
  },
  joins: {
    value: 65_536,
    unit: 'count',
    range: count,
    what: 'Visitors of all tunnels at once, waiting ones included.',
    beyond: 'HTTP 503, TCP reset.',
    code: 'ERR_RELAY_FULL',
  },
  joinsPerTunnel: {
    value: 16_384,
    unit: 'count',
    range: count,
    what: 'Of these, of one tunnel.',
    beyond: 'HTTP 503, TCP reset.',
    code: 'ERR_JOIN_LIMIT',
  },
  joinsPerAddress: {
    value: 16_384,
    unit: 'count',
    range: count,
    what: 'Of these, from one address.',
    beyond: 'HTTP 503, TCP reset.',
    code: 'ERR_ADDRESS_JOINS',
  },
  visitorRate: {
    value: 5_000,
    unit: 'per second',
    range: count,
    what: "New visitors of one address, after a burst of two seconds' worth.",
    beyond: 'A reset.',
    code: 'ERR_VISITOR_RATE',
  },
  rateAddresses: {
    value: 10_000,
    unit: 'count',
    range: count,
    what: 'Addresses whose rates are watched.',
    beyond: 'The one that came longest ago is forgotten.',
  },
  pendingVisitors: {
    value: 4096,
    unit: 'count',
    range: count,
    what: 'Visitors of a front who have not come through: HTTP before the join, TLS before the end of the handshake, behind a balancer before its header.',
    beyond: 'HTTP 503, TLS and balancers a reset.',
    code: 'ERR_VISITOR_LIMIT',
  },
  pendingPerAddress: {
    value: 3072,
    unit: 'count',
    range: count,
    what: 'Of these, from one address.',
    beyond: 'HTTP 503, TLS a reset.',
    code: 'ERR_ADDRESS_LIMIT',
  },
  ...visitLimits,
  loginFailures: {
    value: 5,
    unit: 'count',
    range: count,
    what: 'Failed logins of one address before it has to wait: 1 s, twice as long each time, 5 minutes at most.',
    beyond: 'Logins meanwhile are closed unread.',
    code: 'ERR_LOGIN_BACKOFF',
  },
  loginAddresses: {
    value: 10_000,
    unit: 'count',
    range: count,
    what: 'Addresses whose failed logins are counted.',
    beyond: 'The one that failed longest ago is forgotten.',
  },
  remembered: {
    value: 10_000,
    unit: 'count',
    range: count,
    what: 'Agents whose addresses are remembered, and addresses that are kept for who lost them. Counts after a restart.',
    beyond: 'The one not seen for longest is forgotten: it may get other addresses.',
  },
} as const satisfies LimitTable

/** The relay's limits as they are in force. */
export type RelayLimits = LimitValues<typeof relayLimits>

/** The relay's limits when nothing is said. */
export const defaultLimits: RelayLimits = defaultsOf(relayLimits)
