import { maxFrame, maxSentFrame } from '../wire/limits.ts'
import { defaultsOf, type LimitTable, type LimitValues } from './limit.ts'

const count = [1, 1_000_000] as const

/** What a relay can make an agent hold. Each is a key below `limits:` in the agent's config file, in snake case. */
export const agentLimits = {
  waiting: {
    value: 1024,
    unit: 'count',
    range: count,
    what: 'Proxy connections that the relay has asked for: being opened, or waiting for a visitor. Lanes that have one are none of them.',
    beyond: 'Further requests are ignored.',
    code: 'ERR_AGENT_WAITING',
  },
  visitors: {
    value: 16_384,
    unit: 'count',
    range: count,
    what: 'Visitors at once, from `StartProxy` to the end of the join: each is a connection to a local service.',
    beyond: 'The proxy connection, or the visit on its lane, is reset.',
    code: 'ERR_AGENT_VISITORS',
  },
} as const satisfies LimitTable

/** The agent's limits as they are in force. */
export type AgentLimits = LimitValues<typeof agentLimits>

/** The agent's limits when nothing is said. */
export const defaultAgentLimits: AgentLimits = defaultsOf(agentLimits)

/** What no setting changes. */
export const fixedAgentLimits = {
  controlMessageBytes: {
    value: maxFrame,
    unit: 'bytes',
    what: 'A message of the relay on the control connection.',
    beyond: 'The session ends, and the agent comes again after a pause.',
    code: 'ERR_FRAME_TOO_LARGE',
  },
  startProxyBytes: {
    value: maxSentFrame,
    unit: 'bytes',
    what: '`StartProxy`: no relay sends more than one TLS record.',
    beyond: 'The proxy connection is closed; so is a lane whose `OPEN` is longer.',
    code: 'ERR_FRAME_TOO_LARGE',
  },
  announcements: {
    value: 2,
    unit: 'count',
    what: 'Live addresses of one `http+https` request; of any other request one.',
    beyond: 'The announcement is skipped, and the tunnel closed where the relay knows how.',
    code: 'ERR_AGENT_PROTOCOL',
  },
  retries: {
    value: 1,
    unit: 'count',
    what: 'Retries under way of one tunnel that the relay refuses, however often it says so.',
    beyond: 'Further refusals change nothing.',
  },
} as const satisfies LimitTable
