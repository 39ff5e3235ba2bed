import { isIP } from 'node:net'
import { MillraceError } from '../errors.ts'
import { formatHostPort, type HostPort, parseHostPort } from './address.ts'

/** A user name and a password. Secrets, both. */
export interface ProxyCredentials {
  readonly user: string
  readonly password: string
}

/** A proxy through which to dial out. Never log it whole: {@link describeProxy}. */
export interface ProxyServer {
  /** `http`: CONNECT. `socks5`: names are resolved by the proxy. */
  readonly kind: 'http' | 'socks5'
  readonly address: HostPort
  readonly credentials?: ProxyCredentials
}

const schemes: ReadonlyMap<string, { readonly kind: ProxyServer['kind']; readonly port: number }> = new Map([
  ['http', { kind: 'http', port: 80 }],
  ['socks5', { kind: 'socks5', port: 1080 }],
  ['socks5h', { kind: 'socks5', port: 1080 }],
  ['socks', { kind: 'socks5', port: 1080 }],
])

/**
 * Parses `http://[USER:PASSWORD@]HOST[:80]` and `socks5://[USER:PASSWORD@]HOST[:1080]` (`socks5h` and `socks` are the
 * same); without a scheme it is http, as in curl. User and password are percent-encoded. Throws ERR_OUTBOUND_PROXY_URL,
 * which quotes nothing of a text that may hold a password.
 */
export function parseProxy(text: string): ProxyServer {
  const [, given = 'http', rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*?)\/?$/is.exec(text) ?? []
  const scheme = schemes.get(given.toLowerCase())
  if (scheme === undefined) {
    const tls = given.toLowerCase() === 'https' ? ': TLS to the proxy itself is not supported' : ''
    return refuse(`the scheme is none of ${[...schemes.keys()].join(', ')}${tls}`)
  }
  const at = rest.lastIndexOf('@')
  const address = parseAddress(rest.slice(at + 1), scheme.port)
  if (at === -1) return { kind: scheme.kind, address }
  return { kind: scheme.kind, address, credentials: parseCredentials(rest.slice(0, at), scheme.kind) }
}

/** A proxy for logs and errors: without its credentials. */
export function describeProxy({ kind, address }: ProxyServer): string {
  return `${kind}://${formatHostPort(address.host, address.port)}`
}

function parseAddress(text: string, port: number): HostPort {
  let address: HostPort
  try {
    address = parseHostPort(text, { port })
  } catch {
    // The cause would quote what may be part of a password.
    return refuse('what follows the scheme (and the @) is no HOST:PORT')
  }
  if (address.port === 0) refuse('port 0 is not one that can be connected to')
  if (isIP(address.host) === 0 && address.host.length > 255) refuse('the host is too long')
  return address
}

function parseCredentials(text: string, kind: ProxyServer['kind']): ProxyCredentials {
  const colon = text.indexOf(':')
  const user = decoded(colon === -1 ? text : text.slice(0, colon))
  const password = decoded(colon === -1 ? '' : text.slice(colon + 1))
  if (kind === 'http' && user.includes(':')) refuse('HTTP Basic has no user names with a colon')
  // RFC 1929 section 2: one byte of length, and the name is not empty. The password may be empty in practice.
  const long = Math.max(Buffer.byteLength(user), Buffer.byteLength(password)) > 255
  if (kind === 'socks5' && (long || user === '')) refuse('SOCKS5 has names of 1 and passwords of 0 to 255 bytes')
  return { user, password }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuse('user or password is not percent-encoded well')
  }
}

function refuse(why: string): never {
  throw new MillraceError('ERR_OUTBOUND_PROXY_URL', why)
}
