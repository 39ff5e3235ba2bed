import { maxProxyHeaderBytes } from '../net/proxy-protocol.ts'
import * as wire from '../wire/limits.ts'
import { defaultsOf, type LimitTable } from './limit.ts'

const closes = 'The connection is closed.'

/** Limits of the relay that no setting changes: those of the protocol, which `src/wire/limits.ts` defines, and a few more. */
export const fixedLimits = {
  firstMessageBytes: {
    value: wire.maxFrameBeforeAuth,
    unit: 'bytes',
    what: 'The first message of a connection to the tunnel port.',
    beyond: closes,
    code: 'ERR_FRAME_TOO_LARGE',
  },
  firstMessageMs: {
    value: wire.firstMessageMs,
    unit: 'ms',
    what: 'From accept to the end of the first message, TLS included.',
    beyond: closes,
    code: 'ERR_ENDPOINT_READ_TIMEOUT',
  },
  controlMessageBytes: {
    value: wire.maxFrame,
    unit: 'bytes',
    what: 'A message of an agent.',
    beyond: 'The session ends.',
    code: 'ERR_FRAME_TOO_LARGE',
  },
  messageDepth: {
    value: wire.maxDepth,
    unit: 'count',
    what: 'Nested objects and arrays of a message.',
    beyond: closes,
    code: 'ERR_FRAME_DEPTH',
  },
  nameLength: {
    value: wire.maxNameLength,
    unit: 'characters',
    what: 'A short field: names, ids, addresses, tokens.',
    beyond: closes,
    code: 'ERR_FRAME_FIELD',
  },
  textLength: {
    value: wire.maxTextLength,
    unit: 'characters',
    what: '`HttpAuth` and other free text.',
    beyond: closes,
    code: 'ERR_FRAME_FIELD',
  },
  extensions: {
    value: wire.maxExtensions,
    unit: 'count',
    what: 'Names in `Auth.Extensions`.',
    beyond: closes,
    code: 'ERR_FRAME_FIELD',
  },
  networks: {
    value: wire.maxNetworks,
    unit: 'count',
    what: "Networks in each of a tunnel's lists, `allow` and `deny`.",
    beyond: closes,
    code: 'ERR_FRAME_FIELD',
  },
  silenceMs: {
    value: wire.silenceMs,
    unit: 'ms',
    what: 'Silence of a 1.x agent.',
    beyond: 'The session ends.',
  },
  ping2SilenceMs: {
    value: wire.ping2SilenceMs,
    unit: 'ms',
    what: 'Silence of an agent with `ping2`.',
    beyond: 'The session ends.',
  },
  liveTickets: {
    value: wire.maxLiveTickets,
    unit: 'count',
    what: 'Tickets of a session that have not been presented.',
    beyond: 'The oldest lapses.',
    code: 'ERR_PROXY_REFUSED',
  },
  ticketLifeMs: {
    value: wire.ticketLifeMs,
    unit: 'ms',
    what: 'The life of a ticket.',
    beyond: 'It is worth nothing.',
    code: 'ERR_PROXY_REFUSED',
  },
  unsentBytes: {
    value: 1024 * 1024,
    unit: 'bytes',
    what: 'What waits to be sent to an agent that does not read.',
    beyond: 'The session ends.',
    code: 'ERR_ENDPOINT_WRITE_OVERFLOW',
  },
  laneFrameBytes: {
    value: wire.maxLaneData,
    unit: 'bytes',
    what: 'A frame of a lane, which is passed on as it comes.',
    beyond: 'The lane is reset, and its visitor.',
  },
  laneSettleMs: {
    value: wire.laneSettleMs,
    unit: 'ms',
    what: 'How long either end may take to end a visit that has been reset.',
    beyond: 'The lane is closed.',
  },
  methodBytes: {
    value: 32,
    unit: 'bytes',
    what: "A request's method; the longest registered one has 17.",
    beyond: 'HTTP 501 (RFC 9112 section 3).',
    code: 'ERR_HTTP_NOT_IMPLEMENTED',
  },
  proxyHeaderBytes: {
    value: maxProxyHeaderBytes,
    unit: 'bytes',
    what: "A balancer's PROXY protocol header.",
    beyond: 'A reset.',
    code: 'ERR_PROXY_PROTOCOL',
  },
} as const satisfies LimitTable

/** Their values. */
export const fixed = defaultsOf(fixedLimits)
