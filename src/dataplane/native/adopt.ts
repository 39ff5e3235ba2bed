import type { Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import { isUnix, localAddress, remoteAddress } from '../stream/address.ts'
import type { Core } from './core.ts'
import { NativeEndpoint } from './endpoint.ts'
import { systemError } from './listener.ts'

/** What is used of libuv's handle behind a socket; Node documents neither, and both are there from 18 to 26. */
interface Handle {
  readonly fd: number
  readStop(): number
}

/**
 * Takes a checked socket over from Node: stops reading, collects what was read, duplicates the descriptor, destroys the
 * socket; all in one turn, so that libuv can't read in between. libuv only closes its descriptor: the duplicate keeps
 * the connection. Throws ERR_SOCKET_DESTROYED when there is no descriptor, ERR_SOCKET_TAKEOVER when the system gives no
 * second.
 */
export function adoptSocket(core: Core, socket: Socket, head: Uint8Array | undefined): NativeEndpoint {
  const handle = handleOf(socket)
  const unix = isUnix(socket)
  const local = localAddress(socket, unix)
  const remote = remoteAddress(socket, unix)
  const id = core.addon.adopt(handle.fd)
  if (id < 0) throw new MillraceError('ERR_SOCKET_TAKEOVER', '', { cause: systemError('dup', -id) })
  core.endpointBorn()
  const endpoint = new NativeEndpoint(core, id, local, remote)
  handle.readStop()
  socket.unpipe()
  socket.removeAllListeners('data')
  socket.removeAllListeners('readable')
  const unread: Buffer[] = head === undefined ? [] : [Buffer.from(head)]
  for (let chunk: unknown = socket.read(); Buffer.isBuffer(chunk); chunk = socket.read()) unread.push(chunk)
  if (unread.length > 0) endpoint.unread(Buffer.concat(unread))
  socket.on('error', () => {})
  socket.destroy()
  return endpoint
}

function handleOf(socket: Socket): Handle {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (isHandle(handle) && handle.fd >= 0) return handle
  throw new MillraceError('ERR_SOCKET_DESTROYED')
}

function isHandle(value: unknown): value is Handle {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof Reflect.get(value, 'fd') === 'number' &&
    typeof Reflect.get(value, 'readStop') === 'function'
  )
}
