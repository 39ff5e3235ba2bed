import type { DataPlaneMode, EndReason, Path } from './types.ts'

/**
 * Why a direction copied although it streamed. `unsupported`: splice doesn't work on this socket or system. `no-pipe`:
 * the system gave no pipe, or only the reserve of descriptors was left. `small-pipe`: the user's pipe pages are used
 * up. `urgent`: MSG_OOB was seen. `unreliable`: splice denied bytes that were there.
 */
export type SpliceFallback = 'unsupported' | 'no-pipe' | 'small-pipe' | 'urgent' | 'unreliable'

/**
 * What one worker has done so far. Everything only grows, but for what is called `now`, `leased` and `pooled`; numbers
 * are exact up to 2^53. What a worker can't know is 0. docs/dataplane.md has the same as a table.
 */
export interface WorkerStats {
  /**
   * `engine-0` and so on: a thread of the engine's, with what it did for all data planes of the process. `streams`:
   * what runs on Node streams, of this data plane alone. `total`: their sum.
   */
  readonly name: string
  /** Bytes that the sinks' kernels have taken from joins, heads included, by path. */
  readonly bytes: Readonly<Record<Path, number>>
  /** Directions that went from copy to splice because they stream. */
  readonly promotions: number
  /** Directions that went back because they no longer do. */
  readonly demotions: number
  /** Times that a direction which streams copied all the same, by reason. */
  readonly fallbacks: Readonly<Record<SpliceFallback, number>>
  readonly pipes: {
    /** Held by directions now. */
    readonly leased: number
    /** Empty, waiting for the next lease now. */
    readonly pooled: number
    /** Made so far. */
    readonly created: number
    /** Handed to directions. */
    readonly leases: number
    /** Not given by the system, or given back as they touched the reserve of descriptors. */
    readonly refused: number
    /** Made, and closed again because they hold less than 64 KiB (two slots, past the user's limit). */
    readonly twoSlot: number
  }
  /** Turns of the event loop: returns of epoll_wait. */
  readonly turns: number
  /** Turns that began with a wait: wake-ups, when the worker had nothing to do. */
  readonly sleeps: number
  /** Events that epoll reported. */
  readonly events: number
  /** Visits to joins that had something to do. */
  readonly visits: number
  /** Visits to directions that were cut short so that others have their turn. */
  readonly budgetsExhausted: number
  /** Visits to directions that a bandwidth limit held back. */
  readonly rateWaits: number
  /** Commands carried out, from JavaScript and from other workers. */
  readonly commands: number
  /** Events recorded for JavaScript. */
  readonly records: number
  /** Times that JavaScript was woken up for them. */
  readonly doorbells: number
  readonly joins: {
    /** Live now. */
    readonly now: number
    /** Begun so far, those whose sides were gone at once included. */
    readonly begun: number
  }
  readonly endpoints: {
    /** Connections owned now: connecting, waiting, joined or closing. */
    readonly now: number
    /** Accepted, dialed or adopted so far. */
    readonly born: number
  }
  /** Connections that listeners have handed on. */
  readonly accepted: number
  /** Connections reset at once: beyond `maxEndpoints`, or out of the reserve of descriptors. */
  readonly acceptsRefused: number
  /** Times that a listener stood still: no descriptors or memory, or JavaScript that does not keep up. */
  readonly acceptPauses: number
  /** Connections attempted; the engine counts each address of a host, streams each `dial()`. */
  readonly dials: number
  /** Those that the peer, the network or the system refused, or that ran out of time. */
  readonly dialsFailed: number
  /** TLS handshakes, of both roles. */
  readonly handshakes: {
    /** Under way now. */
    readonly now: number
    readonly done: number
    /** Of those done, with the keys of an earlier connection. */
    readonly resumed: number
    /** The peer's fault, a certificate that was refused, or time that ran out. */
    readonly failed: number
    /** Not begun, as too many were under way. */
    readonly refused: number
  }
  /** TLS connections that their peers ended without close_notify. */
  readonly truncated: number
  /** Connections that carry one visitor after another. */
  readonly lanes: {
    /** Visitors whose visit has begun. */
    readonly visits: number
    /** Closed as a frame did not fit. */
    readonly faults: number
    /** Closed as their peer did not end a visit in time. */
    readonly stuck: number
  }
  /** Joins that ended, by reason (`unreachable`: one that was to connect first, and could not); their sum and `joins.now` make `joins.begun`. */
  readonly ended: Readonly<Record<EndReason | 'unreachable', number>>
}

/**
 * A snapshot of the data plane, for metrics and `millrace doctor`. Free to take: it is read from memory, without a call
 * into the engine. Workers are up to 10 ms behind while they work, and exact before they sleep and before JavaScript
 * hears of an event.
 */
export interface DataPlaneStats {
  readonly kind: 'native' | 'stream'
  readonly mode: DataPlaneMode
  /** Worker threads; 0 on streams. */
  readonly threads: number
  /** Connections that this thread's data planes own, the closing ones included. */
  readonly endpoints: number
  /** Joins of this thread that have begun and not ended. */
  readonly joins: number
  /** Listeners of this thread that are not closed. */
  readonly listeners: number
  /** Pipes that exist now, of the whole process. */
  readonly pipes: number
  /** Whether splice worked when the engine tried it at its start; false on streams. */
  readonly spliceWorks: boolean
  /** What speaks TLS: the engine's workers, or Node's `tls` on streams; `reason` says why where the engine might. */
  readonly tls: { readonly by: 'native' | 'stream'; readonly reason: string }
  /** The fallbacks of `total` that happened, by reason, and `refused-at-start` where splice does not work at all. */
  readonly spliceFallbacks: Readonly<Record<string, number>>
  /** One for each thread, then `streams`. */
  readonly workers: readonly WorkerStats[]
  readonly total: WorkerStats
}

/** Every number of {@link WorkerStats}, in the order of Stat in native/engine/stats.h; what only streams know comes last. */
export const statKeys = [
  'bytes.splice',
  'bytes.copy',
  'bytes.tls',
  'promotions',
  'demotions',
  'fallbacks.unsupported',
  'fallbacks.no-pipe',
  'fallbacks.small-pipe',
  'fallbacks.urgent',
  'fallbacks.unreliable',
  'pipes.leased',
  'pipes.pooled',
  'pipes.created',
  'pipes.leases',
  'pipes.refused',
  'pipes.twoSlot',
  'turns',
  'sleeps',
  'events',
  'visits',
  'budgetsExhausted',
  'rateWaits',
  'commands',
  'records',
  'doorbells',
  'joins.now',
  'joins.begun',
  'endpoints.now',
  'endpoints.born',
  'accepted',
  'acceptsRefused',
  'acceptPauses',
  'dials',
  'dialsFailed',
  'ended.eof',
  'ended.reset',
  'ended.idle',
  'ended.half-closed-idle',
  'ended.limit',
  'ended.stalled',
  'ended.aborted',
  'ended.truncated',
  'ended.error',
  'ended.unreachable',
  'handshakes.now',
  'handshakes.done',
  'handshakes.resumed',
  'handshakes.failed',
  'handshakes.refused',
  'truncated',
  'lanes.visits',
  'lanes.faults',
  'lanes.stuck',
  'bytes.stream',
] as const

/** The name of one number. */
export type StatKey = (typeof statKeys)[number]

/** Where the numbers of one worker come from. */
export type StatSource = (key: StatKey) => number
