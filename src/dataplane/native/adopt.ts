import type { Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import type { Core } from './core.ts'
import { NativeEndpoint } from './endpoint.ts'
import { packedAddress } from './events.ts'
import { systemError } from './listener.ts'

/** What is used of libuv's handle behind a socket; Node documents neither, and both are there from 18 to 26. */
interface Handle {
  readonly fd: number
  readStop(): number
}

/** Of the endpoint that is being made: PackedAddress in native/engine/address.h, the local and the remote one. */
const addresses = new Uint8Array(64)
const addressesView = new DataView(addresses.buffer)

/**
 * Takes a checked socket over from Node: stops reading, collects what was read, duplicates the descriptor, destroys the
 * socket; all in one turn, so that libuv can't read in between. libuv only closes its descriptor: the duplicate keeps
 * the connection. Throws ERR_SOCKET_DESTROYED when there is no descriptor, ERR_SOCKET_TAKEOVER when the system gives no
 * second.
 */
export function adoptSocket(core: Core, socket: Socket, head: Uint8Array | undefined): NativeEndpoint {
  const handle = handleOf(socket)
  const id = core.addon.adopt(handle.fd, addresses)
  if (id < 0) throw new MillraceError('ERR_SOCKET_TAKEOVER', '', { cause: systemError('dup', -id) })
  core.endpointBorn()
  core.wakeSoon()
  const endpoint = new NativeEndpoint(core, id, packedAddress(addressesView, 0), packedAddress(addressesView, 32))
  handle.readStop()
  socket.unpipe()
  // Each of these costs Node a turn of its loop, or asks the handle to read, also where there is nothing to do.
  if (socket.listenerCount('data') > 0) socket.removeAllListeners('data')
  if (socket.listenerCount('readable') > 0) socket.removeAllListeners('readable')
  const unread: Buffer[] = head === undefined ? [] : [Buffer.from(head)]
  while (socket.readableLength > 0) {
    const chunk: unknown = socket.read()
    if (!Buffer.isBuffer(chunk)) break
    unread.push(chunk)
  }
  if (unread.length > 0) endpoint.unread(Buffer.concat(unread))
  socket.on('error', ignore)
  socket.destroy()
  return endpoint
}

function ignore(): void {}

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
