import { describeTarget } from '../net/address.ts'
import { newReqId } from '../wire/ids.ts'
import type { NewTunnel, ReqTunnel } from '../wire/messages.ts'
import type { TunnelSpec } from './options.ts'
import type { TunnelAddress } from './state-file.ts'
import { type RequestStyle, tunnelRequest } from './tunnel-request.ts'

/** A tunnel that the relay has announced. */
export interface LiveTunnel {
  /** Exactly as announced: `StartProxy` repeats it. */
  readonly url: string
  /** One protocol, as announced. */
  readonly protocol: string
  readonly spec: TunnelSpec
}

interface Entry {
  readonly spec: TunnelSpec
  reqId: string
  /** Its request's place among all requests; 0 once that has been answered. */
  asked: number
  /** Where the relay put a tunnel whose address was left to it; '' or 0 before that. */
  host: string
  port: number
  /** Why the relay doesn't give it now; '' otherwise. */
  refusal: string
  /** Refusals in a row. */
  refusals: number
}

/** A tunnel that the relay doesn't give now. */
export interface FailedTunnel {
  readonly spec: TunnelSpec
  /** The relay's sentence. */
  readonly reason: string
}

/** Refusals in a row after which an address that the user never asked for is given up. */
const maxRefusals = 3

/**
 * The tunnels of an agent: what it wants, what it had, what it has now. Lives as long as the agent, so that a new
 * session asks for the addresses of the last one.
 */
export class TunnelBook {
  readonly #entries: Entry[]
  readonly #live = new Map<string, LiveTunnel>()
  #asked = 0

  constructor(specs: readonly TunnelSpec[]) {
    this.#entries = specs.map(entryOf)
  }

  /** The tunnels that are wanted. */
  get specs(): readonly TunnelSpec[] {
    return this.#entries.map(({ spec }) => spec)
  }

  /** One tunnel more is wanted. */
  add(spec: TunnelSpec): void {
    this.#entries.push(entryOf(spec))
  }

  /** A tunnel is not wanted any more. Returns the addresses that it had. */
  remove(spec: TunnelSpec): readonly string[] {
    const index = this.#entries.findIndex((entry) => entry.spec === spec)
    if (index !== -1) this.#entries.splice(index, 1)
    const urls = this.live.filter((tunnel) => tunnel.spec === spec).map(({ url }) => url)
    for (const url of urls) this.#live.delete(url)
    return urls
  }

  /** Takes the addresses that the tunnels had in an earlier life, in their order. */
  restore(addresses: readonly TunnelAddress[]): void {
    for (const [index, entry] of this.#entries.entries()) {
      entry.host = addresses[index]?.host ?? ''
      entry.port = addresses[index]?.port ?? 0
    }
  }

  /** Where the relay has put the tunnels, in their order. */
  get addresses(): readonly TunnelAddress[] {
    return this.#entries.map(({ host, port }) => ({ host, port }))
  }

  /** The tunnels that the relay refused and has not given since. */
  get failed(): readonly FailedTunnel[] {
    return this.#entries.filter(({ refusal }) => refusal !== '').map(({ spec, refusal }) => ({ spec, reason: refusal }))
  }

  /** The tunnels of the current session, in the order of their announcement. */
  get live(): readonly LiveTunnel[] {
    return [...this.#live.values()]
  }

  /** Begins a session: one request for each of these tunnels (default: all), with new ids. */
  requests(style: RequestStyle, of: readonly TunnelSpec[] = this.specs): readonly ReqTunnel[] {
    this.#live.clear()
    for (const entry of this.#entries) entry.asked = 0
    return this.#entries.filter(({ spec }) => of.includes(spec)).map((entry) => this.#request(entry, style))
  }

  /** Asks again for a tunnel of this session, with a new id. */
  requestAgain(spec: TunnelSpec, style: RequestStyle): ReqTunnel | undefined {
    const entry = this.#entries.find((one) => one.spec === spec)
    return entry === undefined ? undefined : this.#request(entry, style)
  }

  /** Notes an announcement. Undefined when it answers none of our requests, or is one more than was asked for. */
  opened(message: NewTunnel): LiveTunnel | undefined {
    const entry = this.#entries.find(({ reqId }) => reqId !== '' && reqId === message.ReqId)
    if (entry === undefined) return undefined
    const had = this.live.filter(({ spec, url }) => spec === entry.spec && url !== message.Url)
    if (had.length >= entry.spec.protocol.split('+').length) return undefined
    const tunnel: LiveTunnel = { url: message.Url, protocol: message.Protocol, spec: entry.spec }
    this.#live.set(tunnel.url, tunnel)
    remember(entry, message.Url)
    entry.asked = 0
    entry.refusal = ''
    entry.refusals = 0
    return tunnel
  }

  /** True when every request of this session has at least one tunnel. */
  get allUp(): boolean {
    return this.#entries.every(({ spec }) => this.isUp(spec))
  }

  /** True when every request has been answered, whatever with. */
  get settled(): boolean {
    return this.#entries.every(({ spec, refusal }) => refusal !== '' || this.isUp(spec))
  }

  /** True when the tunnel is announced. */
  isUp(spec: TunnelSpec): boolean {
    return this.live.some((tunnel) => tunnel.spec === spec)
  }

  /**
   * Notes a refusal, and returns whose it was. After a few in a row the next request leaves the address to the relay, as
   * the user did. A 1.x relay doesn't say which request it refuses, but answers in their order: it is that of the first
   * without an answer. Undefined when there is none.
   */
  refused(reqId: string, reason: string): TunnelSpec | undefined {
    const entry = reqId === '' ? this.#unanswered : this.#entries.find((one) => one.reqId === reqId)
    if (entry === undefined) return undefined
    entry.asked = 0
    entry.refusal = reason
    entry.refusals += 1
    if (entry.refusals >= maxRefusals) {
      entry.refusals = 0
      entry.host = ''
      entry.port = 0
    }
    return entry.spec
  }

  /** A tunnel that this relay can't give at all. */
  impossible(spec: TunnelSpec, reason: string): void {
    const entry = this.#entries.find((one) => one.spec === spec)
    if (entry !== undefined) entry.refusal = reason
  }

  /** Notes that the relay ended a tunnel. Undefined when there was none. */
  closed(url: string): LiveTunnel | undefined {
    const tunnel = this.#live.get(url)
    this.#live.delete(url)
    return tunnel
  }

  /** The session is over: nothing is announced any more. */
  clear(): void {
    this.#live.clear()
    for (const entry of this.#entries) entry.refusal = ''
  }

  /** The tunnel with exactly this URL. */
  find(url: string): LiveTunnel | undefined {
    return this.#live.get(url)
  }

  #request(entry: Entry, style: RequestStyle): ReqTunnel {
    entry.reqId = newReqId()
    this.#asked += 1
    entry.asked = this.#asked
    return tunnelRequest(entry, style)
  }

  get #unanswered(): Entry | undefined {
    return this.#entries.filter(({ asked }) => asked > 0).sort((a, b) => a.asked - b.asked)[0]
  }
}

/** What a tunnel's target is called in logs and on pages. */
export function targetName(spec: TunnelSpec): string {
  return describeTarget(spec.target)
}

/** The same for a status screen, which must not be silent about what is not verified. */
export function targetLine(spec: TunnelSpec): string {
  const unverified = spec.target.kind === 'tls' && spec.targetTrust.kind === 'none'
  return `${targetName(spec)}${unverified ? ' (certificate NOT verified)' : ''}`
}

function entryOf(spec: TunnelSpec): Entry {
  return { spec, reqId: '', asked: 0, host: '', port: 0, refusal: '', refusals: 0 }
}

function remember(entry: Entry, url: string): void {
  // `tcp:` has no default port and no host rules in the URL standard, and a name in a URL of a peer may be anything:
  // what can't be parsed isn't remembered, and the next request leaves it to the relay.
  if (!URL.canParse(url)) return
  const { hostname, port } = new URL(url)
  if (entry.spec.protocol === 'tcp') entry.port = Number(port)
  else entry.host = hostname
}
