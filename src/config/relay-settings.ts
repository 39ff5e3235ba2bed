import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import type { TlsVersion } from '../dataplane/types.ts'
import { defaultLimits, type RelayLimits } from '../limits/relay.ts'
import { type HostPort, type PortRange, parseHostPort, validateHostname } from '../net/address.ts'
import type { LogFormat } from '../observe/log.ts'

export { defaultLimits, type RelayLimits } from '../limits/relay.ts'

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
  /** Those that they may not come from, whatever `networks` says. */
  readonly denyNetworks?: readonly string[]
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
  /** Proxy connections carry one visitor after another where the agent can (extension `lane`). */
  readonly lanes: boolean
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
    lanes: true,
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
