import { maxTicketsPerReqProxy } from '../wire/limits.ts'
import type { ReqProxy } from '../wire/messages.ts'
import type { TicketBook } from '../wire/tickets.ts'

/**
 * The messages that ask an agent for so many proxy connections: a ticket for each, or without tickets a message for each.
 * `plain`: by extension `passthrough`.
 */
export function proxyRequests(count: number, tickets: TicketBook | undefined, plain = false): readonly ReqProxy[] {
  if (tickets === undefined) return Array.from({ length: count }, () => ({ type: 'ReqProxy' }) as const)
  const messages: ReqProxy[] = []
  for (let left = count; left > 0; left -= maxTicketsPerReqProxy) {
    const Tickets = Array.from({ length: Math.min(left, maxTicketsPerReqProxy) }, () => tickets.issue())
    messages.push({ type: 'ReqProxy', Tickets, ...(plain ? { Plain: true } : {}) })
  }
  return messages
}
