import type { DataPlane, Endpoint } from '../dataplane/types.ts'
import { type ErrorCode, MillraceError } from '../errors.ts'
import { formatHostPort, type HostPort } from './address.ts'
import { connectThroughHttp } from './http-connect.ts'
import { describeProxy, type ProxyServer } from './proxy-server.ts'
import { connectThroughSocks5 } from './socks5.ts'

/** How long, and until when. */
export interface ProxyDialOptions {
  /** For everything together: the proxy's name, the connect, its answer. Ms. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Connects to `to` through a proxy; the endpoint carries `to`'s bytes, and has the proxy's address as its remote one.
 * Rejects with ERR_OUTBOUND_PROXY, which names the proxy without its credentials, and with ERR_DIAL when aborted.
 */
export async function dialThroughProxy(
  dataPlane: Pick<DataPlane, 'dial'>,
  proxy: ProxyServer,
  to: HostPort,
  { timeoutMs, signal }: ProxyDialOptions,
): Promise<Endpoint> {
  const due = performance.now() + timeoutMs
  let endpoint: Endpoint | undefined
  const onAbort = (): void => endpoint?.destroy('reset')
  try {
    endpoint = await dataPlane.dial(proxy.address, { timeoutMs, signal })
    signal.addEventListener('abort', onAbort, { once: true })
    const handshake = proxy.kind === 'http' ? connectThroughHttp : connectThroughSocks5
    await handshake(endpoint, to, proxy.credentials, Math.max(1, due - performance.now()))
    return endpoint
  } catch (error) {
    endpoint?.destroy('reset')
    if (signal.aborted) throw new MillraceError('ERR_DIAL', formatHostPort(to.host, to.port), { cause: signal.reason })
    throw new MillraceError('ERR_OUTBOUND_PROXY', `${describeProxy(proxy)} ${whatFailed(error)}`, { cause: error })
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

const failures: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_DIAL: 'cannot be reached',
  ERR_DIAL_TIMEOUT: 'did not answer in time',
  ERR_ENDPOINT_READ_TIMEOUT: 'did not answer in time',
  ERR_ENDPOINT_ENDED: 'closed the connection instead of answering',
  ERR_ENDPOINT_RESET: 'closed the connection instead of answering',
  ERR_ENDPOINT_HEAD_TOO_LARGE: 'sent an answer without an end',
}

function whatFailed(error: unknown): string {
  if (!(error instanceof MillraceError)) return 'failed'
  // Its sentence begins with the same words as the one that it becomes a part of.
  if (error.code === 'ERR_OUTBOUND_PROXY') return error.message.replace(/^the proxy /, '')
  return failures[error.code] ?? 'failed'
}
