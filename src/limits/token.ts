import type { LimitTable } from './limit.ts'

const none = Number.POSITIVE_INFINITY
const count = [1, 1_000_000] as const

/** What a token's agents may have together. Each is a key of the token's entry; what is absent is not limited. */
export const tokenLimits = {
  sessions: {
    value: none,
    unit: 'count',
    range: count,
    what: 'Agents connected at once.',
    beyond: 'The connection is closed; the agent tries again later.',
    code: 'ERR_TOKEN_SESSIONS',
  },
  tunnels: {
    value: none,
    unit: 'count',
    range: count,
    what: 'Tunnels of all its agents.',
    beyond: 'The request is refused.',
    code: 'ERR_TOKEN_TUNNELS',
  },
  connections: {
    value: none,
    unit: 'count',
    range: count,
    what: 'Visitors of all its tunnels at once, waiting ones included.',
    beyond: 'HTTP 503, TCP reset.',
    code: 'ERR_TOKEN_CONNECTIONS',
  },
  bandwidth: {
    value: none,
    unit: 'bytes per second',
    range: [1, 1_000_000_000_000],
    what: "All its visitors together, both directions, after a burst of a second's worth; chunked request bodies have as much again for themselves.",
    beyond: 'They wait.',
  },
} as const satisfies LimitTable
