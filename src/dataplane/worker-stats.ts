import type { StatSource, WorkerStats } from './stats.ts'

/** The numbers of one worker as an object. */
export function workerStats(name: string, at: StatSource): WorkerStats {
  return {
    name,
    bytes: { splice: at('bytes.splice'), copy: at('bytes.copy'), tls: at('bytes.tls'), stream: at('bytes.stream') },
    promotions: at('promotions'),
    demotions: at('demotions'),
    fallbacks: {
      unsupported: at('fallbacks.unsupported'),
      'no-pipe': at('fallbacks.no-pipe'),
      'small-pipe': at('fallbacks.small-pipe'),
      urgent: at('fallbacks.urgent'),
      unreliable: at('fallbacks.unreliable'),
    },
    pipes: {
      leased: at('pipes.leased'),
      pooled: at('pipes.pooled'),
      created: at('pipes.created'),
      leases: at('pipes.leases'),
      refused: at('pipes.refused'),
      twoSlot: at('pipes.twoSlot'),
    },
    turns: at('turns'),
    sleeps: at('sleeps'),
    events: at('events'),
    visits: at('visits'),
    budgetsExhausted: at('budgetsExhausted'),
    rateWaits: at('rateWaits'),
    commands: at('commands'),
    records: at('records'),
    doorbells: at('doorbells'),
    joins: { now: at('joins.now'), begun: at('joins.begun') },
    endpoints: { now: at('endpoints.now'), born: at('endpoints.born') },
    accepted: at('accepted'),
    acceptsRefused: at('acceptsRefused'),
    acceptPauses: at('acceptPauses'),
    dials: at('dials'),
    dialsFailed: at('dialsFailed'),
    handshakes: {
      now: at('handshakes.now'),
      done: at('handshakes.done'),
      resumed: at('handshakes.resumed'),
      failed: at('handshakes.failed'),
      refused: at('handshakes.refused'),
    },
    truncated: at('truncated'),
    lanes: { visits: at('lanes.visits'), faults: at('lanes.faults'), stuck: at('lanes.stuck') },
    ended: {
      eof: at('ended.eof'),
      reset: at('ended.reset'),
      idle: at('ended.idle'),
      'half-closed-idle': at('ended.half-closed-idle'),
      limit: at('ended.limit'),
      stalled: at('ended.stalled'),
      aborted: at('ended.aborted'),
      truncated: at('ended.truncated'),
      error: at('ended.error'),
      unreachable: at('ended.unreachable'),
    },
  }
}

/** The sum of all of them, as one more source. */
export function sumOf(sources: readonly StatSource[]): StatSource {
  return (key) => sources.reduce((sum, at) => sum + at(key), 0)
}
