import { MillraceError } from '../errors.ts'
import { type Authority, parseAuthority } from './authority.ts'
import { type Field, isToken, listOf, parseField, valuesOf } from './fields.ts'
import { type Body, bodyOf } from './framing.ts'
import type { HttpLimits } from './limits.ts'

/** A request's head, parsed and found to mean one thing only. */
export interface HttpRequest {
  /** A token; `CONNECT` never gets here. */
  readonly method: string
  /** Origin-form (`/path?query`) or `*`. An absolute-form target has been split into this and `authority`. */
  readonly target: string
  readonly version: '1.0' | '1.1'
  /** Whom the request is for; undefined only for HTTP/1.0 without Host. */
  readonly authority: Authority | undefined
  readonly fields: readonly Field[]
  readonly body: Body
  /** True for a WebSocket handshake (RFC 6455 §4.1), the one upgrade that may pass. */
  readonly webSocket: boolean
}

/**
 * Parses a head that {@link headEnd} has delimited, strictly by RFC 9112. Throws ERR_HTTP_*; `refusalStatus` gives the
 * status for each.
 */
export const parseRequest = (head: Uint8Array, limits: HttpLimits): HttpRequest => {
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1')
  const lines = text.slice(text.startsWith('\r\n') ? 2 : 0, -4).split('\r\n')
  const [requestLine = '', ...fieldLines] = lines
  const { method, rawTarget, version } = parseRequestLine(requestLine, limits)
  if (fieldLines.length > limits.fields) {
    throw new MillraceError('ERR_HTTP_HEAD_TOO_LARGE', `${limits.fields} fields`)
  }
  const fields = fieldLines.map(parseField)
  const named = hostField(fields, version)
  const { target, authority } = splitTarget(method, rawTarget, named)
  const body = bodyOf(fields, version)
  return { method, target, version, authority, fields, body, webSocket: isWebSocket(method, version, fields, body) }
}

interface RequestLine {
  readonly method: string
  readonly rawTarget: string
  readonly version: '1.0' | '1.1'
}

const parseRequestLine = (line: string, limits: HttpLimits): RequestLine => {
  const [method = '', rawTarget = '', protocol = '', ...rest] = line.split(' ')
  if (protocol === '' || rest.length > 0 || !isToken(method)) {
    throw new MillraceError('ERR_HTTP_SYNTAX', 'a request line that is not METHOD TARGET HTTP/1.1')
  }
  const version = parseVersion(protocol)
  if (method.length > limits.methodBytes) throw new MillraceError('ERR_HTTP_NOT_IMPLEMENTED', 'so long a method')
  // RFC 9110 §15.6.2: not supported for any resource here, which is no forward proxy.
  if (method === 'CONNECT') throw new MillraceError('ERR_HTTP_NOT_IMPLEMENTED', 'the method CONNECT')
  if (rawTarget.length > limits.targetBytes) {
    throw new MillraceError('ERR_HTTP_TARGET_TOO_LONG', `${limits.targetBytes} bytes`)
  }
  // RFC 3986 allows fewer characters; browsers send `|`, `{` and `^` in queries. A fragment is never sent.
  if (!/^[!"$-~]+$/.test(rawTarget)) throw new MillraceError('ERR_HTTP_SYNTAX', 'a character in the request target')
  return { method, rawTarget, version }
}

const parseVersion = (protocol: string): '1.0' | '1.1' => {
  if (protocol === 'HTTP/1.1') return '1.1'
  if (protocol === 'HTTP/1.0') return '1.0'
  if (/^HTTP\/[0-9]\.[0-9]$/.test(protocol)) throw new MillraceError('ERR_HTTP_VERSION')
  throw new MillraceError('ERR_HTTP_SYNTAX', 'a malformed HTTP version')
}

/** RFC 9112 §3.2: exactly one valid Host in HTTP/1.1; HTTP/1.0 may go without. */
const hostField = (fields: readonly Field[], version: '1.0' | '1.1'): Authority | undefined => {
  const hosts = valuesOf(fields, 'host')
  const [host] = hosts
  if (hosts.length > 1) throw new MillraceError('ERR_HTTP_HOST', 'more than one Host')
  if (host === undefined) {
    if (version === '1.0') return undefined
    throw new MillraceError('ERR_HTTP_HOST', 'no Host')
  }
  const authority = parseAuthority(host)
  if (authority === undefined) throw new MillraceError('ERR_HTTP_HOST', 'a Host that is not host[:port]')
  return authority
}

const absolutePattern = /^https?:\/\/([^/?]+)(.*)$/i

/** RFC 9112 §3.2. The authority of an absolute-form target stands, whatever Host says (§3.2.2). */
const splitTarget = (
  method: string,
  target: string,
  named: Authority | undefined,
): { readonly target: string; readonly authority: Authority | undefined } => {
  if (target.startsWith('/')) return { target, authority: named }
  if (target === '*' && method === 'OPTIONS') return { target, authority: named }
  const match = absolutePattern.exec(target)
  const authority = match === null ? undefined : parseAuthority(match[1] ?? '')
  if (authority === undefined) throw new MillraceError('ERR_HTTP_SYNTAX', 'a request target of no known form')
  const rest = match?.[2] ?? ''
  // RFC 9112 §3.2.4: OPTIONS for a whole server has no path in absolute form.
  if (rest === '' && method === 'OPTIONS') return { target: '*', authority }
  return { target: rest.startsWith('/') ? rest : `/${rest}`, authority }
}

const isWebSocket = (method: string, version: '1.0' | '1.1', fields: readonly Field[], body: Body): boolean => {
  const upgrades = listOf(fields, 'upgrade')
  return (
    method === 'GET' &&
    version === '1.1' &&
    body.kind === 'length' &&
    body.bytes === 0 &&
    upgrades.length === 1 &&
    upgrades[0] === 'websocket' &&
    listOf(fields, 'connection').includes('upgrade')
  )
}
