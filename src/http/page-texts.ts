import type { Page } from './pages.ts'
import type { PageStatus } from './refusal.ts'

/** What the relay's pages say, one for each thing that can be wrong. */
export const pageTexts = {
  credentialsWanted: {
    status: 401,
    message: 'This tunnel asks for a user name and a password.',
  },
  denied: {
    status: 403,
    message: 'This tunnel lets nobody come from your address.',
    advice: 'If the tunnel is yours, look at its allow and deny lists.',
  },
  misdirected: {
    status: 421,
    message: 'The TLS of this connection was set up for another host.',
    advice: 'Open a connection of its own for it.',
  },
  internalError: {
    status: 500,
    message: 'Something went wrong in the relay.',
    advice: 'Its log says what.',
  },
  agentGone: {
    status: 502,
    message: 'The agent that holds this tunnel cannot be reached.',
    advice: 'If the tunnel is yours, look at what the agent says.',
  },
  serviceUnclear: {
    status: 502,
    message: 'The service behind this tunnel gave no valid answer.',
    advice: 'If the service is yours, look at its log.',
  },
  agentAway: {
    status: 503,
    message: 'The agent that holds this tunnel is away.',
    advice: 'Try again in a few seconds. If the tunnel is yours, look at what the agent says.',
  },
  frontFull: {
    status: 503,
    message: 'Too many visitors are waiting at this relay.',
    advice: 'Try again in a few seconds.',
  },
  tunnelFull: {
    status: 503,
    message: 'Too many visitors use this tunnel.',
    advice: 'Try again in a few seconds.',
  },
  agentSlow: {
    status: 504,
    message: 'The agent that holds this tunnel did not open a connection in time.',
    advice: 'Try again in a few seconds. If the tunnel is yours, look at what the agent says.',
  },
  serviceSlow: {
    status: 504,
    message: 'The service behind this tunnel did not answer in time.',
  },
} as const satisfies Readonly<Record<string, Page>>

/** What is said of a request that is not served because of itself; `message` is that of its ERR_HTTP_* error. */
export const refusedPage = (status: PageStatus, message: string): Page => ({
  status,
  message: `${message.charAt(0).toUpperCase()}${message.slice(1)}.`,
})
