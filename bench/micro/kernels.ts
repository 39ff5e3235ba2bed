/** The JavaScript that runs once per message, visitor, request or event: small enough to be measured alone. */
import type { Addon } from '../../src/dataplane/native/addon.ts'
import { Core } from '../../src/dataplane/native/core.ts'
import { CounterCells } from '../../src/dataplane/native/counters.ts'
import { eventType } from '../../src/dataplane/native/events.ts'
import { forwardedHead } from '../../src/http/forward.ts'
import { headEnd } from '../../src/http/head-end.ts'
import { defaultHttpLimits } from '../../src/http/limits.ts'
import { parseRequest } from '../../src/http/request.ts'
import { decodeFrame, encodeMessage } from '../../src/wire/codec.ts'
import type { Message } from '../../src/wire/messages.ts'
import { TicketBook } from '../../src/wire/tickets.ts'

/** One thing to measure. */
export interface Kernel {
  readonly name: string
  /** How often the thing happens in one call of `run`. */
  readonly times: number
  /** Returns something that depends on all the work, so that none of it can be left out. */
  run(): unknown
}

const startProxy: Message = {
  type: 'StartProxy',
  Url: 'https://shop.tunnels.example.com',
  ClientAddr: '203.0.113.7:52814',
}
const startProxyFrame = encodeMessage(startProxy)

const browserHead = Buffer.from(
  [
    'GET /catalogue/items?page=3&sort=price HTTP/1.1',
    'Host: shop.tunnels.example.com',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'Accept-Language: en-GB,en;q=0.5',
    'Accept-Encoding: gzip, deflate, br',
    'Connection: keep-alive',
    'Cookie: session=0123456789abcdef0123456789abcdef; basket=7',
    'Upgrade-Insecure-Requests: 1',
    'Cache-Control: max-age=0',
    '',
    '',
  ].join('\r\n'),
)
const request = parseRequest(browserHead, defaultHttpLimits)
const forwarding = { client: '203.0.113.7', scheme: 'https', port: 443, dropAuthorization: false } as const

/** As many records as the engine hands over at once. */
const batch = 256
/** Bytes of an EventRecord, native/engine/client.h. */
const recordBytes = 128

/** A core whose engine is a batch of records that are always there. */
function eventCore(fill: (records: DataView, at: number, index: number) => void): { core: Core; ring: () => void } {
  let pending = 0
  let doorbell = (): void => {}
  const addon = {
    attach: (_workers: number, call: () => void): number => {
      doorbell = call
      return 0
    },
    drain: (records: Uint8Array): number => {
      const count = pending
      const view = new DataView(records.buffer)
      for (let index = 0; index < count; index += 1) fill(view, index * recordBytes, index)
      pending = 0
      return count
    },
    keepAlive: (): void => {},
    cells: (): number => 0,
  } as unknown as Addon
  const core = Core.attach(addon, 1)
  if (typeof core === 'number') throw new Error('a core of no engine refused to start')
  const ring = (): void => {
    pending = batch
    doorbell()
  }
  return { core, ring }
}

function joinEnds(): Kernel {
  let ended = 0
  const onEnded = (): void => {
    ended += 1
  }
  const tokens: number[] = []
  const { core, ring } = eventCore((records, at, index) => {
    records.setUint32(at, eventType.joinEnded, true)
    records.setFloat64(at + 8, tokens[index] ?? 0, true)
    records.setBigUint64(at + 16, 1_000_000n, true)
  })
  return {
    name: 'event: a join begins and ends',
    times: batch,
    run: () => {
      for (let index = 0; index < batch; index += 1) tokens[index] = core.addJoin({ onEnded })
      ring()
      return ended
    },
  }
}

function accepted(): Kernel {
  let seen = 0
  const { core, ring } = eventCore((records, at, index) => {
    records.setUint32(at, eventType.accepted, true)
    records.setFloat64(at + 8, index, true)
    records.setBigUint64(at + 16, 1n, true)
    records.setUint16(at + 96, 4, true)
  })
  core.addListener(1, {
    onAccepted: (_id, event) => {
      seen += event.remote === undefined ? 0 : 1
    },
    deliver: () => {},
    onClosed: () => {},
  })
  return {
    name: 'event: a visitor is accepted',
    times: batch,
    run: () => {
      ring()
      return seen
    },
  }
}

function counters(): Kernel {
  const cells = new CounterCells({ cells: () => 0 } as unknown as Addon)
  const taken = Array.from({ length: 1024 }, () => cells.take())
  return {
    name: 'counters of a join, both directions',
    times: taken.length,
    run: () => {
      let sum = 0n
      for (const cell of taken) {
        const { aToB, bToA } = cell.bytes
        sum += aToB + bToA
      }
      return sum
    },
  }
}

function tickets(): Kernel {
  const book = new TicketBook()
  return { name: 'ticket: issue and redeem', times: 1, run: () => book.redeem(book.issue()) }
}

/** Every kernel. */
export const kernels: readonly Kernel[] = [
  { name: 'wire: encode StartProxy', times: 1, run: () => encodeMessage(startProxy) },
  { name: 'wire: decode StartProxy', times: 1, run: () => decodeFrame(startProxyFrame) },
  tickets(),
  { name: 'http: find the end of a head', times: 1, run: () => headEnd(defaultHttpLimits.headBytes)(browserHead) },
  { name: 'http: parse a request', times: 1, run: () => parseRequest(browserHead, defaultHttpLimits) },
  { name: 'http: write the forwarded head', times: 1, run: () => forwardedHead(request, forwarding) },
  joinEnds(),
  accepted(),
  counters(),
]
