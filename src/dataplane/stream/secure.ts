import { isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect, TLSSocket } from 'node:tls'
import { MillraceError } from '../../errors.ts'
import type { Address, TlsAgreement, TlsOptions } from '../types.ts'
import { StreamEndpoint } from './endpoint.ts'
import type { StreamEndpointOptions } from './endpoint-parts.ts'
import { tcpHandle } from './handle.ts'
import { pinError } from './pins.ts'
import { errnoOf } from './port-roles.ts'
import { type StreamContext, streamContext } from './secure-context.ts'
import type { StreamTally } from './tally.ts'
import { tlsError } from './tls-errors.ts'
import { TruncationCheck } from './truncation.ts'

/** TLS on a plain endpoint, which is used up. The options are checked. Rejects as {@link DataPlane.secure} says. */
export async function secureEndpoint(
  endpoint: StreamEndpoint,
  options: TlsOptions,
  tally: StreamTally,
): Promise<StreamEndpoint> {
  if (endpoint.isVisit) throw new MillraceError('ERR_OPTION', 'secure: a visit has no connection of its own')
  const unusable = endpoint.unusable()
  if (unusable !== undefined) throw unusable
  const { socket, unread } = endpoint.releaseSocket()
  if (socket.destroyed) throw new MillraceError('ERR_ENDPOINT_RESET', '', { cause: socket.errored ?? undefined })
  tally.add('handshakes.now')
  try {
    const addresses = { local: endpoint.local, remote: endpoint.remote }
    const secured = await secureSocket(socket, unread, options, addresses, tally)
    tally.add('handshakes.done')
    if (secured.tls?.resumed === true) tally.add('handshakes.resumed')
    return secured
  } catch (error) {
    tally.add('handshakes.failed')
    throw error
  } finally {
    tally.add('handshakes.now', -1)
  }
}

/**
 * TLS on a connected socket that nobody else reads any more; `unread` are bytes already read from it, which the
 * handshake sees first. The socket is used up, also when this rejects (ERR_TLS, ERR_TLS_TIMEOUT).
 */
function secureSocket(
  socket: Socket,
  unread: readonly Buffer[],
  options: TlsOptions,
  addresses: Pick<Required<StreamEndpointOptions>, 'local' | 'remote'>,
  tally: StreamTally,
): Promise<StreamEndpoint> {
  return new Promise((resolve, reject) => {
    // A raw socket's errors reach its session too; this one keeps them from being unhandled.
    socket.on('error', () => {})
    let session: TLSSocket
    let keepSessions: () => void
    try {
      for (const chunk of unread.toReversed()) socket.unshift(chunk)
      const context = streamContext(options)
      if (options.role === 'server') {
        session = startServer(socket, options, context)
        keepSessions = () => undefined
      } else {
        const server = addresses.remote.family === 'unix' ? undefined : sessionKey(addresses.remote, options.serverName)
        session = startClient(socket, options, context, server)
        keepSessions = collectSessions(session, context, server)
      }
    } catch (cause) {
      socket.destroy()
      reject(new MillraceError('ERR_TLS', cause instanceof Error ? cause.message : String(cause), { cause }))
      return
    }
    const end = new TruncationCheck(session, socket)
    const name = options.role === 'client' ? options.serverName : ''
    const timeoutMs = options.handshakeTimeoutMs ?? 10_000
    const settle = (problem: MillraceError | undefined): void => {
      clearTimeout(timer)
      session.off('close', onClose)
      session.off('end', onClose)
      session.off('_tlsError', onError)
      const error = problem ?? pinError(session, options)
      if (error === undefined) {
        session.off('error', onError)
        keepSessions()
        const serverName = options.role === 'server' ? sniOf(session) : ''
        const onTruncated = (): void => tally.add('truncated')
        const resetsWhenTruncated = options.truncation !== 'fin'
        const tls = { raw: socket, serverName, agreement: agreementOf(session), end, resetsWhenTruncated, onTruncated }
        const endpoint = StreamEndpoint.fromSocket(session, undefined, { ...addresses, tls })
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

function startServer(
  socket: Socket,
  options: Extract<TlsOptions, { role: 'server' }>,
  { secureContext }: StreamContext,
): TLSSocket {
  return new TLSSocket(socket, { isServer: true, secureContext, ...alpnOf(options) })
}

function startClient(
  socket: Socket,
  options: Extract<TlsOptions, { role: 'client' }>,
  context: StreamContext,
  server: string | undefined,
): TLSSocket {
  const { serverName, trust } = options
  const chain = trust.kind === 'system' || trust.kind === 'ca'
  const known = server === undefined ? undefined : context.sessions.take(server)
  return connect({
    socket,
    secureContext: context.secureContext,
    ...alpnOf(options),
    ...(known !== undefined && { session: known }),
    // RFC 6066 section 3: literal addresses are not permitted in SNI. They are checked all the same.
    servername: isIP(serverName) === 0 ? serverName : '',
    rejectUnauthorized: chain,
    checkServerIdentity: (_host, certificate) => (chain ? checkServerIdentity(serverName, certificate) : undefined),
  })
}

/** Keeps a session's tickets from the moment on in which the returned function is called: its peer is trusted then. */
function collectSessions(session: TLSSocket, { sessions }: StreamContext, server: string | undefined): () => void {
  if (server === undefined) return () => undefined
  let trusted = false
  const early: Buffer[] = []
  session.on('session', (ticket) => {
    if (trusted) sessions.put(server, ticket)
    else early.push(ticket)
  })
  return () => {
    trusted = true
    for (const ticket of early) sessions.put(server, ticket)
  }
}

function sessionKey(address: Exclude<Address, { family: 'unix' }>, name: string): string {
  return `${name} ${address.host} ${address.port}`
}

function alpnOf({ alpn }: TlsOptions): { readonly ALPNProtocols?: string[] } {
  return alpn === undefined || alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }
}

function agreementOf(session: TLSSocket): TlsAgreement {
  const { alpnProtocol } = session
  return {
    version: session.getProtocol() ?? '',
    cipher: session.getCipher().name,
    alpn: typeof alpnProtocol === 'string' ? alpnProtocol : '',
    resumed: session.isSessionReused(),
  }
}

function sniOf(session: TLSSocket): string {
  const name: unknown = Reflect.get(session, 'servername')
  return typeof name === 'string' ? name : ''
}
