import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { MillraceError } from '../errors.ts'

/** Sockets that a data plane has taken, though the object may live on. */
const taken = new WeakSet<Socket>()

/** Notes that a socket belongs to a data plane now: nobody can take it again. */
export function markTaken(socket: Socket): void {
  taken.add(socket)
}

/**
 * Checks that a socket can be taken over by a data plane, and takes nothing. Throws ERR_SOCKET_TYPE, ERR_SOCKET_TLS,
 * ERR_SOCKET_CONNECTING, ERR_SOCKET_DESTROYED, ERR_SOCKET_ENDED or ERR_SOCKET_PENDING_WRITES.
 */
export function checkAdoptable(socket: unknown): asserts socket is Socket {
  if (!(socket instanceof Socket)) throw new MillraceError('ERR_SOCKET_TYPE', typeName(socket))
  if (socket instanceof TLSSocket) throw new MillraceError('ERR_SOCKET_TLS')
  if (socket.connecting) throw new MillraceError('ERR_SOCKET_CONNECTING')
  const handle: unknown = Reflect.get(socket, '_handle')
  if (taken.has(socket) || socket.destroyed || handle === null || handle === undefined)
    throw new MillraceError('ERR_SOCKET_DESTROYED')
  if (socket.writableEnded) throw new MillraceError('ERR_SOCKET_ENDED')
  if (socket.writableLength > 0) throw new MillraceError('ERR_SOCKET_PENDING_WRITES', String(socket.writableLength))
  if (socket.readableEncoding !== null) {
    throw new MillraceError('ERR_SOCKET_TYPE', `one that decodes its bytes (setEncoding('${socket.readableEncoding}'))`)
  }
}

function typeName(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value === null ? null : typeof value)
  const maker: unknown = value.constructor
  return typeof maker === 'function' && maker.name !== '' ? `a ${maker.name}` : 'an object'
}
