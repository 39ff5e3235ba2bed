import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import type { TlsVersion } from '../dataplane/types.ts'
import { type HostPort, type PortRange, parseHostPort, validateHostname } from '../net/address.ts'
import type { LogFormat } from '../observe/log.ts'

/** What a token may open tunnels for. */
export const tokenProtocols = ['http', 'https', 'tcp', 'tls'] as const
/** One of {@link tokenProtocols}. */
export type TokenProtocol = (typeof tokenProtocols)[number]

/** Names of tokens: printable ASCII, 1 to 100 characters. */
export const tokenNamePattern = /^[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?$/

/** The tokens file within the state directory, unless `tokens_file` says another. */
export const tokensFileName = 'tokens.yaml'

/** The control socket within the state directory, unless `control_socket` says another. */
export const controlSocketName = 'control.sock'

/** A token's entry in the relay's config or tokens file: never the token itself. What is absent is not limited. */
export interface TokenEntry {
  /** What logs call it. */
  readonly name: string
  /** SHA-256 of the token, 64 hex digits. */
  readonly sha256: string
  /**
   * The host names that its agents may ask for, lower case. `*` stands for characters of one label, a leading `**.` for
   * one label or more. With `subdomains` either is enough; ERR_TUNNEL_HOST otherwise.
   */
  readonly hostnames?: readonly string[]
  /** The same below the relay's domain. */
  readonly subdomains?: readonly string[]
  /** The ports of its TCP tunnels, ERR_TUNNEL_PORT otherwise. */
  readonly tcpPorts?: readonly PortRange[]
  /** The protocols of its tunnels, ERR_TOKEN_PROTOCOL otherwise. */
  readonly protocols?: readonly TokenProtocol[]
  /** Agents connected at once. Beyond: ERR_TOKEN_SESSIONS, the connection is closed and the agent tries again. */
  readonly sessions?: number
  /** Tunnels of all its agents. Beyond: ERR_TOKEN_TUNNELS. */
  readonly tunnels?: number
  /** Visitors of all its tunnels at once. Beyond: ERR_TOKEN_CONNECTIONS (HTTP 503, TCP reset). */
  readonly connections?: number
  /** Bytes per second of all its visitors together, both directions. */
  readonly bandwidth?: number
  /** The networks (CIDR) that its agents may come from. */
  readonly networks?: readonly string[]
  /** From when on it is worth nothing, ms since 1970. */
  readonly expires?: number
  /** Worth nothing now. Default false. */
  readonly disabled?: boolean
}

/** One certificate of the public fronts, by its files. */
export interface CertificateSource {
  /** Whom it is for: a host name, `*.DOMAIN`, or `default`; lower case. */
  readonly name: string
  /** Path of the PEM chain. */
  readonly cert: string
  /** Path of its key, PEM. */
  readonly key: string
}

/** What peers may make the relay hold or wait for. Each is a key below `limits:` in the config file. */
export interface RelayLimits {
  /** Agents connected at once. Beyond: ERR_SESSION_LIMIT, the connection is closed and the agent tries again. */
  readonly sessions: number
  /** Tunnels of one agent. Beyond: ERR_TUNNEL_LIMIT. */
  readonly tunnelsPerSession: number
  /** Proxy connections of one agent that wait for visitors. Beyond: ERR_POOL_LIMIT, the newest is closed. */
  readonly pool: number
  /** Visitors of one agent that wait for a proxy connection. Beyond: ERR_POOL_FULL (HTTP 503, TCP reset). */
  readonly waiters: number
  /** How long such a visitor waits, ms. Then: ERR_POOL_TIMEOUT (HTTP 504, TCP reset). */
  readonly waiterTimeoutMs: number
  /** Connections to the tunnel port whose first message hasn't come. Beyond: ERR_HANDSHAKE_LIMIT, the newest is reset. */
  readonly handshakes: number
  /** Of these, from one address (IPv6: one /64). Beyond: ERR_ADDRESS_LIMIT, the newest is reset. */
  readonly handshakesPerAddress: number
  /** Visitors of one tunnel at once. Beyond: ERR_JOIN_LIMIT (HTTP 503, TCP reset). */
  readonly joinsPerTunnel: number
  /** Visitors of all tunnels at once. Beyond: ERR_RELAY_FULL (HTTP 503, TCP reset). */
  readonly joins: number
  /** Bytes of an HTTP request's head. Beyond: 431. */
  readonly headBytes: number
  /** Bytes of a visitor's ClientHello. Beyond: ERR_CLIENT_HELLO_TOO_LARGE, an alert. At most 64 KiB. */
  readonly clientHelloBytes: number
  /** How long a trusted balancer may take to send a PROXY protocol header, ms. Then: ERR_PROXY_PROTOCOL, a reset. */
  readonly proxyHeaderMs: number
  /** Visitors of a front (HTTP: before their request is joined; https: in the handshake). Beyond: 503, or a reset. */
  readonly pendingVisitors: number
  /** Of these, from one address (IPv6: one /64). Beyond: ERR_ADDRESS_LIMIT, 503 or a reset. */
  readonly pendingPerAddress: number
  /** Addresses remembered for agents that come back; the least recently used is forgotten first. */
  readonly remembered: number
  /**
   * Failed logins of one address (IPv6: one /64) before it has to wait, from 1 s up to 5 minutes. Logins meanwhile:
   * ERR_LOGIN_BACKOFF, the connection is closed.
   */
  readonly loginFailures: number
  /** Addresses whose failed logins are counted; the one that failed longest ago is forgotten first. */
  readonly loginAddresses: number
}

/** Everything that the operator can say about a relay. */
export interface RelaySettings {
  readonly tunnelAddr: HostPort
  readonly httpAddr?: HostPort
  readonly httpsAddr?: HostPort
  /** The networks (CIDR) that agents and visitors may come from. Empty: all. */
  readonly allow: readonly string[]
  /** Those that they may not come from, whatever `allow` says. */
  readonly deny: readonly string[]
  /** Networks of balancers (CIDR) whose visitors begin with a PROXY protocol header, which is believed. */
  readonly proxyProtocolFrom: readonly string[]
  /** The ports that TCP tunnels may have. Absent: whichever is free. */
  readonly tcpPorts?: PortRange
  /** The domain that HTTP tunnels get names in, lower case. */
  readonly domain: string
  /** Paths of a PEM chain and its key. Absent: the relay makes its own in the state directory. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /**
   * Certificates for visitors, by the name they ask for: a folder of NAME.crt and NAME.key (`_.DOMAIN` for a wildcard,
   * `default`), or a list. Absent, or without a default: the relay's own.
   */
  readonly httpsCerts?: string | readonly CertificateSource[]
  /** The http front sends visitors of hosts that have an https tunnel there (308). */
  readonly httpsRedirect: boolean
  /** Answers over https tell browsers to use nothing else for so many seconds (RFC 6797). Absent: they don't. */
  readonly hstsSeconds?: number
  /** The oldest TLS that agents and visitors may speak. */
  readonly tlsMinVersion: TlsVersion
  readonly tokens: readonly TokenEntry[]
  /** More tokens, followed live; need not be there. */
  readonly tokensFile: string
  /** Lets agents in without a known token. */
  readonly open: boolean
  /** Accepts plain proxy connections (extension `plain`). */
  readonly allowPlain: boolean | 'passthrough'
  readonly stateDir: string
  /** Where `millrace reload` and its kin reach the relay: the path of a unix socket, mode 0600. */
  readonly controlSocket: string
  readonly logFormat: LogFormat
  /** How long joins may go on after the relay was asked to stop, ms. */
  readonly drainTimeoutMs: number
  /**
   * How long an address is kept for the token (open relays: the agent) that lost it with its session, ms. 0 = not at
   * all. Others who ask for it: ERR_TUNNEL_KEPT.
   */
  readonly nameGraceMs: number
  readonly limits: RelayLimits
}

/** The limits when nothing is said. */
export const defaultLimits: RelayLimits = {
  sessions: 1024,
  tunnelsPerSession: 64,
  pool: 64,
  waiters: 1024,
  waiterTimeoutMs: 10_000,
  handshakes: 1024,
  handshakesPerAddress: 768,
  joinsPerTunnel: 16_384,
  joins: 65_536,
  headBytes: 32 * 1024,
  clientHelloBytes: 16_384,
  proxyHeaderMs: 5_000,
  pendingVisitors: 4096,
  pendingPerAddress: 3072,
  remembered: 10_000,
  loginFailures: 5,
  loginAddresses: 10_000,
}

/** What `hsts` means without a number, seconds: a year, as browsers' preload lists ask for. */
export const defaultHstsSeconds = 31_536_000
/** The most that `hsts` may be, seconds: a hundred years. */
export const maxHstsSeconds = 3_153_600_000

/** Where `:4443` listens: every address, IPv4 and IPv6. */
export const anyHost = '::'

/** `HOST:PORT`, `[v6]:PORT` or `:PORT` (every address), to listen on. Throws ERR_ADDRESS. */
export function parseListenAddress(text: string): HostPort {
  return parseHostPort(text, { host: anyHost })
}

/** The relay's domain: a DNS name, or an IP address for relays that have TCP tunnels only. Throws ERR_HOSTNAME. */
export function parseDomain(text: string): string {
  return isIP(text) === 0 ? validateHostname(text) : text
}

/** Whom a certificate is for: a host name, `*.DOMAIN` or `default`. Throws ERR_HOSTNAME. */
export function parseCertificateName(text: string): string {
  if (text === 'default') return text
  return text.startsWith('*.') ? `*.${validateHostname(text.slice(2))}` : validateHostname(text)
}

/** The settings when nothing is said. No token and not open: such a relay refuses to start. */
export function defaultSettings(env: NodeJS.ProcessEnv = process.env): RelaySettings {
  return {
    tunnelAddr: { host: anyHost, port: 4443 },
    domain: 'localhost',
    allow: [],
    deny: [],
    proxyProtocolFrom: [],
    httpsRedirect: false,
    tlsMinVersion: 'TLSv1.2',
    tokens: [],
    tokensFile: join(defaultStateDir(env), tokensFileName),
    open: false,
    allowPlain: 'passthrough',
    stateDir: defaultStateDir(env),
    controlSocket: join(defaultStateDir(env), controlSocketName),
    logFormat: 'pretty',
    drainTimeoutMs: 30_000,
    nameGraceMs: 60_000,
    limits: defaultLimits,
  }
}

/** `$XDG_STATE_HOME/millrace`, or `~/.local/state/millrace` (XDG base directory specification). */
export function defaultStateDir(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_STATE_HOME']
  // The specification says that relative paths are to be ignored.
  if (base !== undefined && isAbsolute(base)) return join(base, 'millrace')
  return join(homedir(), '.local', 'state', 'millrace')
}
