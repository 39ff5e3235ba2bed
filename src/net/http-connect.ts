import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { printable } from '../printable.ts'
import { formatHostPort, type HostPort } from './address.ts'
import type { ProxyCredentials } from './proxy-server.ts'

/** Most bytes of a proxy's answer; its body, if any, is never read. */
const maxAnswerBytes = 16 * 1024
/** Interim answers (1xx) that are skipped. */
const maxInterim = 4

/**
 * Asks an HTTP proxy for a tunnel (RFC 9110 section 9.3.6). Afterwards `endpoint` carries the bytes of `to`; what came
 * after the proxy's answer is its first. Throws ERR_OUTBOUND_PROXY with the proxy's status, and what reads of the
 * endpoint reject with. The endpoint stays the caller's.
 */
export async function connectThroughHttp(
  endpoint: Endpoint,
  to: HostPort,
  credentials: ProxyCredentials | undefined,
  deadlineMs: number,
): Promise<void> {
  const due = performance.now() + deadlineMs
  endpoint.write(connectRequest(to, credentials))
  for (let i = 0; i <= maxInterim; i++) {
    const head = await endpoint.readHead(findAnswerEnd, maxAnswerBytes, Math.max(1, due - performance.now()))
    const { status, reason } = parseAnswer(head)
    // Lengths in a 2xx to CONNECT mean nothing (RFC 9110 section 9.3.6): all that follows is the tunnel's.
    if (status >= 200 && status < 300) return
    if (status >= 200 || status === 101) refuse(`answered ${status}${reason}${advice[status] ?? ''}`)
  }
  refuse(`sent more than ${maxInterim} interim answers`)
}

const advice: Readonly<Record<number, string>> = {
  403: ": it does not let this machine reach the relay's port",
  407: ': it wants a user and a password, or others',
}

/** The request for a tunnel to `to`. Holds a secret when there are credentials. */
export function connectRequest(to: HostPort, credentials: ProxyCredentials | undefined): Buffer {
  const authority = formatHostPort(to.host, to.port)
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`]
  if (credentials !== undefined) {
    // RFC 7617: UTF-8, as every other client sends what was typed.
    const pair = Buffer.from(`${credentials.user}:${credentials.password}`, 'utf8').toString('base64')
    lines.push(`Proxy-Authorization: Basic ${pair}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

const httpStart = Buffer.from('HTTP/1.')

/** Finds the end of an answer's head, 0 while there is none. Throws ERR_OUTBOUND_PROXY for what is no HTTP/1 answer. */
export function findAnswerEnd(bytes: Buffer): number {
  const n = Math.min(bytes.length, httpStart.length)
  if (!bytes.subarray(0, n).equals(httpStart.subarray(0, n))) refuse('does not speak HTTP/1')
  // Old proxies end lines with a bare LF (RFC 9112 section 2.2 lets recipients take it).
  const crlf = bytes.indexOf('\n\r\n')
  const lf = bytes.indexOf('\n\n')
  if (crlf === -1 && lf === -1) return 0
  return lf === -1 || (crlf !== -1 && crlf < lf) ? crlf + 3 : lf + 2
}

/** The status and its phrase, made printable, with a space in front; '' when there is none. Throws ERR_OUTBOUND_PROXY. */
export function parseAnswer(head: Buffer): { readonly status: number; readonly reason: string } {
  const line = head.toString('latin1', 0, head.indexOf('\n')).trimEnd()
  const match = /^HTTP\/1\.[01] ([1-9]\d\d)(?: (.*))?$/s.exec(line)
  if (match === null) return refuse('does not speak HTTP/1')
  const [, status, reason = ''] = match
  return { status: Number(status), reason: reason === '' ? '' : ` ${printable(reason)}` }
}

function refuse(what: string): never {
  throw new MillraceError('ERR_OUTBOUND_PROXY', what)
}
