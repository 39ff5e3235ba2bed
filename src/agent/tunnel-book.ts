import { describeTarget } from '../net/address.ts'
import { newReqId } from '../wire/ids.ts'
import type { NewTunnel, ReqTunnel } from '../wire/messages.ts'
import type { TunnelSpec } from './options.ts'

/** A tunnel that the relay has announced. */
export interface LiveTunnel {
  /** Exactly as announced: `StartProxy` repeats it. */
  readonly url: string
  /** One protocol, as announced. */
  readonly protocol: string
  readonly spec: TunnelSpec
}

/** What a request looks like to this relay. */
export interface RequestStyle {
  /** The relay knows our extensions; false for an ngrok 1.x server. */
  readonly extended: boolean
  /** Proxy connections of these tunnels may be plain. */
  readonly plain: boolean
}

interface Entry {
  readonly spec: TunnelSpec
  reqId: string
  /** Where the relay put a tunnel whose address was left to it; '' or 0 before that. */
  host: string
  port: number
}

/** Refusals in a row after which an address that the user never asked for is given up. */
const maxRefusals = 3

/**
 * The tunnels of an agent: what it wants, what it had, what it has now. Lives as long as the agent, so that a new
 * session asks for the addresses of the last one.
 */
export class TunnelBook {
  readonly #entries: readonly Entry[]
  readonly #live = new Map<string, LiveTunnel>()
  #refusals = 0

  constructor(specs: readonly TunnelSpec[]) {
    this.#entries = specs.map((spec) => ({ spec, reqId: '', host: '', port: 0 }))
  }

  /** The tunnels of the current session, in the order of their announcement. */
  get live(): readonly LiveTunnel[] {
    return [...this.#live.values()]
  }

  /** Begins a session: one request per tunnel, with new ids. */
  requests(style: RequestStyle): readonly ReqTunnel[] {
    this.#live.clear()
    return this.#entries.map((entry) => {
      entry.reqId = newReqId()
      return toRequest(entry, style)
    })
  }

  /** Notes an announcement. Undefined when it answers none of our requests. */
  opened(message: NewTunnel): LiveTunnel | undefined {
    const entry = this.#entries.find(({ reqId }) => reqId !== '' && reqId === message.ReqId)
    if (entry === undefined) return undefined
    const tunnel: LiveTunnel = { url: message.Url, protocol: message.Protocol, spec: entry.spec }
    this.#live.set(tunnel.url, tunnel)
    remember(entry, message.Url)
    if (this.allUp) this.#refusals = 0
    return tunnel
  }

  /** True when every request of this session has at least one tunnel. */
  get allUp(): boolean {
    return this.#entries.every(({ spec }) => this.live.some((tunnel) => tunnel.spec === spec))
  }

  /** Notes a refusal. After a few in a row the next requests leave the address to the relay, as the user did. */
  refused(): void {
    this.#refusals += 1
    if (this.#refusals < maxRefusals) return
    this.#refusals = 0
    for (const entry of this.#entries) {
      entry.host = ''
      entry.port = 0
    }
  }

  /** Notes that the relay ended a tunnel. False when there was none. */
  closed(url: string): boolean {
    return this.#live.delete(url)
  }

  /** The session is over: nothing is announced any more. */
  clear(): void {
    this.#live.clear()
  }

  /** The tunnel with exactly this URL. */
  find(url: string): LiveTunnel | undefined {
    return this.#live.get(url)
  }
}

/** What a tunnel's target is called in logs and on pages. */
export function targetName(spec: TunnelSpec): string {
  return describeTarget(spec.target)
}

function toRequest({ spec, reqId, host, port }: Entry, style: RequestStyle): ReqTunnel {
  const named = (spec.hostname ?? '') !== '' || (spec.subdomain ?? '') !== ''
  // A 1.x server takes a Hostname for the whole public address, port included, and so can't be asked for one that it
  // made up itself; the first label as the Subdomain gives the same name there.
  const again = named || host === '' ? {} : style.extended ? { Hostname: host } : { Subdomain: firstLabel(host) }
  return {
    type: 'ReqTunnel',
    ReqId: reqId,
    Protocol: spec.protocol,
    Hostname: spec.hostname ?? '',
    Subdomain: spec.subdomain ?? '',
    HttpAuth: spec.httpAuth ?? '',
    RemotePort: spec.remotePort || port,
    ...again,
    ...(style.plain ? { Encrypt: false } : {}),
  }
}

function remember(entry: Entry, url: string): void {
  // `tcp:` has no default port and no host rules in the URL standard, and a name in a URL of a peer may be anything:
  // what can't be parsed isn't remembered, and the next request leaves it to the relay.
  if (!URL.canParse(url)) return
  const { hostname, port } = new URL(url)
  if (entry.spec.protocol === 'tcp') entry.port = Number(port)
  else entry.host = hostname
}

function firstLabel(host: string): string {
  return host.split('.', 1)[0] ?? ''
}
