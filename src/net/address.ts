import { isIP, isIPv6 } from 'node:net'
import type { Address } from '../dataplane/types.ts'
import { type ErrorCode, MillraceError } from '../errors.ts'
import { printable } from '../printable.ts'

/** A host and a port. The host is an IP address (v6 without brackets) or a name. */
export interface HostPort {
  readonly host: string
  /** 0–65535. */
  readonly port: number
}

/** Where the agent finds a local service. `tls` is TCP with a TLS handshake. */
export type Target =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** A range of ports, both ends included. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/**
 * Parses `HOST:PORT` and `[v6]:PORT`; with `defaults.host` also `:PORT` and `PORT` alone; with `defaults.port` also
 * `HOST` and `[v6]` alone (with both defaults, digits alone are a port). Port 0 is allowed: it means any free one to a
 * listener. Throws ERR_ADDRESS.
 */
export function parseHostPort(text: string, defaults: Partial<HostPort> = {}): HostPort {
  const { host, port } = splitHostPort(text, 'ERR_ADDRESS')
  const givenHost = host === '' ? defaults.host : host
  const givenPort = port ?? defaults.port
  if (givenHost === undefined) refuse('ERR_ADDRESS', text, 'the host is missing')
  if (givenPort === undefined) refuse('ERR_ADDRESS', text, 'the port is missing')
  return { host: givenHost, port: givenPort }
}

/** `host:port`, with brackets around IPv6. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** A socket address for logs and the wire: `ip:port`, `[v6]:port` or `unix:path`. */
export function formatAddress(address: Address): string {
  return address.family === 'unix' ? `unix:${address.path}` : formatHostPort(address.host, address.port)
}

/**
 * Parses a local target: `port` and `:port` (on `localhost`, so that both families are tried), `host:port`,
 * `[v6]:port`, `unix:/path`, `https://host[:443]`, and `http://host[:80]` for who pastes from a browser. URLs may end
 * in `/` but have no other path. Throws ERR_TARGET.
 */
export function parseTarget(text: string): Target {
  if (text.startsWith('unix:')) return { kind: 'unix', path: parseSocketPath(text) }
  const url = /^(https?):\/\/(.*?)\/?$/is.exec(text)
  const tls = url?.[1]?.toLowerCase() === 'https'
  const { host, port } = splitHostPort(url?.[2] ?? text, 'ERR_TARGET')
  const givenPort = port ?? (url === null ? undefined : tls ? 443 : 80)
  if (url !== null && host === '') refuse('ERR_TARGET', text, 'the host is missing')
  if (givenPort === undefined) refuse('ERR_TARGET', text, 'the port is missing')
  if (givenPort === 0) refuse('ERR_TARGET', text, 'port 0 is not one that can be connected to')
  return { kind: tls ? 'tls' : 'tcp', host: host === '' ? 'localhost' : host, port: givenPort }
}

/** A target as a user would write it; {@link parseTarget} reads it back. */
export function describeTarget(target: Target): string {
  switch (target.kind) {
    case 'unix':
      return `unix:${target.path}`
    case 'tls':
      return `https://${formatHostPort(target.host, target.port)}`
    case 'tcp':
      return formatHostPort(target.host, target.port)
  }
}

/** Parses `A-B` (1 ≤ A ≤ B ≤ 65535), or `A` for a range of one. Throws ERR_PORT_RANGE. */
export function parsePortRange(text: string): PortRange {
  const [, from = '', to = from] = /^(\d+)(?:-(\d+))?$/.exec(text.trim()) ?? []
  const first = parsePort(from)
  const last = parsePort(to)
  if (first === undefined || last === undefined || first === 0 || first > last) {
    throw new MillraceError('ERR_PORT_RANGE', JSON.stringify(printable(text)))
  }
  return { first, last }
}

/** True for one DNS label: letters, digits and inner hyphens, 1–63 of them (RFC 1123 §2.1). Case is ignored. */
export function isDnsLabel(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(text)
}

/**
 * True for a DNS host name: labels joined by dots, at most 253 characters, no trailing dot. A last label of digits only
 * makes it an IPv4 address or something that could be taken for one (`127.1`): false. Case is ignored.
 */
export function isDnsName(text: string): boolean {
  if (text.length > 253) return false
  const labels = text.split('.')
  return labels.every(isDnsLabel) && !/^\d+$/.test(labels.at(-1) ?? '')
}

/** The one form of a host name: lower case, without a trailing dot. Throws ERR_HOSTNAME if it is no DNS name. */
export function validateHostname(text: string): string {
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase()
  if (!isDnsName(name)) throw new MillraceError('ERR_HOSTNAME', JSON.stringify(printable(text)))
  return name
}

/** Linux's sun_path has 108 bytes, the last one NUL; macOS's 104. */
const maxSocketPath = process.platform === 'linux' ? 107 : 103

function parseSocketPath(text: string): string {
  const path = text.slice('unix:'.length)
  if (path === '' || path.includes('\0')) refuse('ERR_TARGET', text, 'the path is missing or has a NUL in it')
  if (Buffer.byteLength(path) > maxSocketPath) {
    refuse('ERR_TARGET', text, `a socket's path has at most ${maxSocketPath} bytes`)
  }
  return path
}

/** Splits and checks; host '' and port undefined are "not given". Digits alone are a port. */
function splitHostPort(text: string, code: ErrorCode): { readonly host: string; readonly port: number | undefined } {
  const bare = /^:?(\d+)$/.exec(text)
  if (bare !== null) return { host: '', port: checkedPort(bare[1] ?? '', text, code) }
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/s.exec(text)
  if (bracketed !== null) {
    const [, host = '', port] = bracketed
    if (!isIPv6(host)) refuse(code, text, 'only an IPv6 address goes into brackets')
    return { host, port: port === undefined ? undefined : checkedPort(port, text, code) }
  }
  const colon = text.indexOf(':')
  if (colon !== text.lastIndexOf(':')) refuse(code, text, 'an IPv6 address needs brackets: [::1]:8080')
  const host = colon === -1 ? text : text.slice(0, colon)
  if (!isDialable(host)) refuse(code, text, 'the host is neither a name nor an address')
  return { host, port: colon === -1 ? undefined : checkedPort(text.slice(colon + 1), text, code) }
}

/** What a resolver may be asked for: as {@link isDnsName}, with `_` (container networks use it) and a trailing dot. */
function isDialable(host: string): boolean {
  if (isIP(host) !== 0) return true
  return isDnsName((host.endsWith('.') ? host.slice(0, -1) : host).replace(/_/g, 'x'))
}

function parsePort(digits: string): number | undefined {
  if (!/^\d{1,5}$/.test(digits)) return undefined
  const port = Number(digits)
  return port > 65_535 ? undefined : port
}

function checkedPort(digits: string, text: string, code: ErrorCode): number {
  return parsePort(digits) ?? refuse(code, text, 'a port is a number from 0 to 65535')
}

function refuse(code: ErrorCode, text: string, why: string): never {
  // Somebody may have pasted a URL with credentials in it.
  const shown = printable(text.replace(/^(\w+:\/\/)?.*@/s, '$1***@'))
  throw new MillraceError(code, `${JSON.stringify(shown)}: ${why}`)
}
