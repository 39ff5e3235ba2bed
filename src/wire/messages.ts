/**
 * The messages. Fields have the wire's names, so that nothing is translated twice; docs/protocol.md says what each
 * means. A field that isn't optional here is always on the wire, even when empty; optional ones belong to an extension.
 */

/** agent → relay, first on a control connection. */
export interface Auth {
  readonly type: 'Auth'
  readonly Version: string
  readonly MmVersion: string
  /** The token. A secret. */
  readonly User: string
  /** Unused by 1.x. A secret all the same. */
  readonly Password: string
  readonly OS: string
  readonly Arch: string
  /** '' or the id given earlier. */
  readonly ClientId: string
  /** The extensions offered; absent = a 1.x agent. */
  readonly Extensions?: readonly string[]
}

/** relay → agent, the answer to {@link Auth}. */
export interface AuthResp {
  readonly type: 'AuthResp'
  readonly Version: string
  readonly MmVersion: string
  readonly ClientId: string
  /** '' = accepted. Anything else is final: 1.x agents exit. */
  readonly Error: string
  /** The extensions accepted; absent = a 1.x relay. */
  readonly Extensions?: readonly string[]
}

/** agent → relay: asks for one tunnel per protocol named. */
export interface ReqTunnel {
  readonly type: 'ReqTunnel'
  /** 16 hex digits of the agent's choice. */
  readonly ReqId: string
  /** `http`, `https`, `tcp` (and `tls` with that extension), joined by `+`. */
  readonly Protocol: string
  readonly Hostname: string
  readonly Subdomain: string
  /** `user:pass` asked of HTTP visitors, '' = none. A secret. */
  readonly HttpAuth: string
  /** uint16; 0 = any. */
  readonly RemotePort: number
  /** Extensions `plain`, `passthrough`: false = proxy connections of this tunnel may be plain TCP. Absent = true. */
  readonly Encrypt?: boolean
  /** Extension `terminate`: true = the relay ends the visitors' TLS of a `tcp` tunnel. Absent = false. */
  readonly Terminate?: boolean
  /** Extension `access`: the networks (CIDR) that visitors may come from. Absent or empty = all. */
  readonly Allow?: readonly string[]
  /** Extension `access`: those that they may not come from, whatever `Allow` says. */
  readonly Deny?: readonly string[]
}

/** relay → agent: one tunnel of a request, or why there is none. */
export interface NewTunnel {
  readonly type: 'NewTunnel'
  /** The request's; '' with an error. */
  readonly ReqId: string
  readonly Url: string
  /** One protocol. */
  readonly Protocol: string
  /** '' = the tunnel is up. Anything else is final: 1.x agents exit. */
  readonly Error: string
}

/** relay → agent: open a proxy connection. */
export interface ReqProxy {
  readonly type: 'ReqProxy'
  /** Extension `ticket`: open one proxy connection for each. Secrets. */
  readonly Tickets?: readonly string[]
  /** Extension `passthrough`: true = they are for plain TCP, and for tunnels whose visitors speak TLS with the service. */
  readonly Plain?: boolean
}

/** agent → relay, first on a proxy connection. */
export interface RegProxy {
  readonly type: 'RegProxy'
  readonly ClientId: string
  /** Extension `ticket`: one of {@link ReqProxy.Tickets}. A secret. */
  readonly Ticket?: string
}

/** relay → agent, on a proxy connection: a visitor's bytes follow. */
export interface StartProxy {
  readonly type: 'StartProxy'
  /** Exactly as announced in {@link NewTunnel.Url}. */
  readonly Url: string
  /** The visitor's `ip:port`. */
  readonly ClientAddr: string
  /** Extension `origin`: the public `ip:port` that the visitor connected to. */
  readonly ServerAddr?: string
  /** Extension `origin`: the tunnel's protocol (`http`, `https`, `tcp`, `tls`). */
  readonly Proto?: string
  /** Extension `origin`: the relay's id of the join, for logs on both ends. */
  readonly Id?: string
}

/** Heartbeat: agent → relay; with `ping2` both ways. */
export interface Ping {
  readonly type: 'Ping'
  /** Extension `ping2`: the sender's clock, of no meaning to the peer, which echoes it. Finite, ≥ 0. */
  readonly Time?: number
}

/** The answer to a {@link Ping}. */
export interface Pong {
  readonly type: 'Pong'
  /** The ping's {@link Ping.Time}. */
  readonly Time?: number
}

/** Extension `close`, agent → relay: end this tunnel. */
export interface CloseTunnel {
  readonly type: 'CloseTunnel'
  readonly Url: string
}

/** Extension `close`, relay → agent: this tunnel has ended. */
export interface TunnelClosed {
  readonly type: 'TunnelClosed'
  readonly Url: string
  readonly Reason: string
}

/** Extension `drain`, relay → agent: no new visitors here, connect again elsewhere or later. */
export interface Drain {
  readonly type: 'Drain'
  readonly Reason: string
}

/** Every message of the protocol. */
export type Message =
  | Auth
  | AuthResp
  | ReqTunnel
  | NewTunnel
  | ReqProxy
  | RegProxy
  | StartProxy
  | Ping
  | Pong
  | CloseTunnel
  | TunnelClosed
  | Drain

/** The name of a message, as `Type` has it on the wire. */
export type MessageType = Message['type']

/** A well-formed frame of a type that we don't know: to be logged and skipped. */
export interface UnknownMessage {
  readonly type: 'unknown'
  /** The peer's `Type`, made printable and cut: fit for a log. '' when it was missing. */
  readonly name: string
}

/** The names of all extensions, in the order of docs/protocol.md. */
export const extensions = [
  'ticket',
  'plain',
  'close',
  'drain',
  'ping2',
  'tls',
  'origin',
  'terminate',
  'access',
  'passthrough',
  'lane',
] as const

/** An extension's name. */
export type Extension = (typeof extensions)[number]

/**
 * What both ends have: those of `supported` (in its order) that the peer offered. Names that we don't know are
 * ignored. An offer that is absent comes from a 1.x peer and gives []; such a peer must not be sent an
 * `Extensions` field at all.
 */
export function negotiate(offered: readonly string[] | undefined, supported: readonly Extension[]): Extension[] {
  if (offered === undefined) return []
  return supported.filter((name) => offered.includes(name))
}
