import { isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect, createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { MillraceError } from '../../errors.ts'
import type { TlsOptions } from '../types.ts'
import { StreamEndpoint } from './endpoint.ts'
import type { StreamEndpointOptions } from './endpoint-parts.ts'
import { tcpHandle } from './handle.ts'
import { errnoOf } from './port-roles.ts'
import { tlsError } from './tls-errors.ts'

const contexts = new WeakMap<TlsOptions, SecureContext>()

/** TLS on a stream endpoint, which is used up. Rejects with ERR_TLS, ERR_TLS_TIMEOUT or ERR_ENDPOINT_*. */
export async function secureEndpoint(endpoint: StreamEndpoint, options: TlsOptions): Promise<StreamEndpoint> {
  const unusable = endpoint.unusable()
  if (unusable !== undefined) throw unusable
  const { socket, unread } = endpoint.releaseSocket()
  if (socket.destroyed) throw new MillraceError('ERR_ENDPOINT_RESET', '', { cause: socket.errored ?? undefined })
  return secureSocket(socket, unread, options, { local: endpoint.local, remote: endpoint.remote })
}

/**
 * TLS on a connected socket that nobody else reads any more; `unread` are bytes already read from it, which the
 * handshake sees first. The socket is used up, also when this rejects (ERR_TLS, ERR_TLS_TIMEOUT).
 *
 * `endpointOptions` go to the resulting endpoint: its addresses, and `onGone` if nobody watches the socket itself.
 */
export function secureSocket(
  socket: Socket,
  unread: readonly Buffer[],
  options: TlsOptions,
  endpointOptions: StreamEndpointOptions = {},
): Promise<StreamEndpoint> {
  return new Promise((resolve, reject) => {
    // A raw socket's errors reach its session too; this one keeps them from being unhandled.
    socket.on('error', () => {})
    let session: TLSSocket
    try {
      for (const chunk of unread.toReversed()) socket.unshift(chunk)
      session = startSession(socket, options)
    } catch (cause) {
      socket.destroy()
      reject(new MillraceError('ERR_TLS', cause instanceof Error ? cause.message : String(cause), { cause }))
      return
    }
    const name = options.role === 'client' ? options.serverName : ''
    const timeoutMs = options.handshakeTimeoutMs ?? 10_000
    const settle = (error: MillraceError | undefined): void => {
      clearTimeout(timer)
      session.off('close', onClose)
      session.off('end', onClose)
      session.off('_tlsError', onError)
      if (error === undefined) {
        session.off('error', onError)
        const serverName = options.role === 'server' ? sniOf(session) : ''
        const endpoint = StreamEndpoint.fromSocket(session, undefined, { ...endpointOptions, raw: socket, serverName })
        // Node tells us from within SSL_read, and would run whatever awaits this there as well. Resetting the endpoint
        // frees the SSL below it: the process then dies of a segmentation fault.
        setImmediate(resolve, endpoint)
      } else {
        // Not from within SSL_read, see above.
        setImmediate(giveUp, session, socket, error)
        reject(error)
      }
    }
    const onError = (cause: unknown): void => settle(tlsError(cause, name))
    const onClose = (): void => settle(tlsError(undefined, name))
    const onTimeout = (): void => settle(new MillraceError('ERR_TLS_TIMEOUT', String(timeoutMs)))
    const timer = setTimeout(onTimeout, Math.min(timeoutMs, 2 ** 31 - 1))
    session.once(options.role === 'server' ? 'secure' : 'secureConnect', () => settle(undefined))
    session.on('error', onError)
    session.on('_tlsError', onError)
    session.on('close', onClose)
    session.on('end', onClose)
  })
}

/** OpenSSL's own refusals have an alert on its way, which a reset would destroy; for all others the peer gets one. */
function giveUp(session: TLSSocket, socket: Socket, error: MillraceError): void {
  if (!errnoOf(error.cause).startsWith('ERR_SSL') && tcpHandle(socket) !== undefined) socket.resetAndDestroy()
  session.destroy()
  socket.destroy()
}

function startSession(socket: Socket, options: TlsOptions): TLSSocket {
  const secureContext = contextOf(options)
  const alpn = options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }
  if (options.role === 'server') return new TLSSocket(socket, { isServer: true, secureContext, ...alpn })
  const { serverName, trust } = options
  return connect({
    socket,
    secureContext,
    ...alpn,
    // RFC 6066 section 3: literal addresses are not permitted in SNI. They are checked all the same.
    servername: isIP(serverName) === 0 ? serverName : '',
    rejectUnauthorized: trust.kind !== 'none',
    checkServerIdentity: (_host, certificate) =>
      trust.kind === 'none' ? undefined : checkServerIdentity(serverName, certificate),
  })
}

/** Contexts are expensive (they parse keys and certificates): one per options object. */
function contextOf(options: TlsOptions): SecureContext {
  const known = contexts.get(options)
  if (known !== undefined) return known
  const context = createSecureContext({
    minVersion: 'TLSv1.2',
    ...(options.role === 'server' && { cert: options.cert, key: options.key }),
    // A certificate given as the authority is trusted for itself, also when somebody else issued it (a pinned leaf).
    ...(options.role === 'client' &&
      options.trust.kind === 'ca' && { ca: options.trust.pem, allowPartialTrustChain: true }),
  })
  contexts.set(options, context)
  return context
}

function sniOf(session: TLSSocket): string {
  const name: unknown = Reflect.get(session, 'servername')
  return typeof name === 'string' ? name : ''
}
