import { listOf } from './fields.ts'
import type { HttpRequest } from './request.ts'

/** What the service is told of the visitor. */
export interface Forwarding {
  /** The visitor's address without brackets; '' when it has none (unix sockets). */
  readonly client: string
  readonly scheme: 'http' | 'https'
  /** The public port that the visitor came in by; 0 when there is none (unix sockets). */
  readonly port: number
  /** True when Authorization was for the tunnel and must not reach the service. */
  readonly dropAuthorization: boolean
}

/** Meant for one connection only, whether Connection names them or not (RFC 9110 §7.6.1, RFC 9113 §8.2.2). */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'upgrade',
])

/** Fields that say who the visitor is: a visitor is not believed. */
const isForwarding = (key: string): boolean =>
  key.startsWith('x-forwarded-') || key === 'forwarded' || key === 'x-real-ip'

/** Written by us from what was parsed, in one spelling. Connection can't name them away. */
const isFraming = (key: string): boolean => key === 'host' || key === 'content-length' || key === 'transfer-encoding'

/**
 * CGI-like services read `X_Forwarded_For` and `X-Forwarded-For` as one variable, so an underscore must not smuggle in
 * what the hyphen may not.
 */
const isLookalike = (key: string): boolean => {
  if (!key.includes('_')) return false
  const hyphened = key.replaceAll('_', '-')
  return isForwarding(hyphened) || isFraming(hyphened) || hopByHop.has(hyphened)
}

/**
 * The head that goes to the service: the visitor's, in the visitor's version (an HTTP/1.0 client would not understand
 * a chunked answer), without what was meant for this connection, with the `X-Forwarded-*` fields set anew and
 * `Connection: close`, or `Connection: Upgrade` for a WebSocket. No Via: servers such as nginx stop compressing for it.
 */
export const forwardedHead = (request: HttpRequest, forwarding: Forwarding): Buffer => {
  const named = new Set(listOf(request.fields, 'connection'))
  const lines = [`${request.method} ${request.target} HTTP/${request.version}`]
  const host = request.authority?.text
  if (host !== undefined) lines.push(`Host: ${host}`)
  for (const { name, key, value } of request.fields) {
    if (isFraming(key) || isForwarding(key) || isLookalike(key) || hopByHop.has(key) || named.has(key)) continue
    if (forwarding.dropAuthorization && key === 'authorization') continue
    lines.push(`${name}: ${value}`)
  }
  lines.push(...framingLines(request), ...forwardingLines(forwarding, host))
  lines.push(...(request.webSocket ? ['Connection: Upgrade', 'Upgrade: websocket'] : ['Connection: close']))
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

const framingLines = ({ fields, body }: HttpRequest): readonly string[] => {
  if (body.kind === 'chunked') return ['Transfer-Encoding: chunked']
  return fields.some((field) => field.key === 'content-length') ? [`Content-Length: ${body.bytes}`] : []
}

const forwardingLines = (forwarding: Forwarding, host: string | undefined): readonly string[] => {
  const lines: string[] = []
  if (forwarding.client !== '') lines.push(`X-Forwarded-For: ${plainAddress(forwarding.client)}`)
  if (host !== undefined) lines.push(`X-Forwarded-Host: ${host}`)
  lines.push(`X-Forwarded-Proto: ${forwarding.scheme}`)
  if (forwarding.port !== 0) lines.push(`X-Forwarded-Port: ${forwarding.port}`)
  return lines
}

/** Services compare addresses as text: no zone, and IPv4 as IPv4 also on a dual-stack socket. */
const plainAddress = (host: string): string => {
  const [address = ''] = host.split('%')
  return address.replace(/^::ffff:(?=[0-9]+\.)/i, '')
}
