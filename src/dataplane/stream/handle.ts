import type { Socket } from 'node:net'

/** What is used of the handle below a Node socket. Not documented, and the same in Node 18 to 26. */
interface TcpHandle {
  /** Starts reading; 0 or a negative errno. */
  readStart(): number
  /** Asks for the peer's address; 0 or a negative errno. */
  getpeername(out: object): number
}

/** The handle below a TCP or unix socket; undefined for closed ones, and where there are no such handles. */
export function readableHandle(socket: Socket): Pick<TcpHandle, 'readStart'> | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  return isReadable(handle) ? handle : undefined
}

/** The TCP handle below a socket; undefined for unix sockets, closed ones, and where there are no such handles. */
export function tcpHandle(socket: Socket): TcpHandle | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  return isTcpHandle(handle) ? handle : undefined
}

/**
 * True when the kernel has dropped the connection (reset, or timed out), which needs no reading. To be asked only while
 * our side has not sent FIN: after both FINs the kernel says the same.
 */
export function isLost(socket: Socket): boolean {
  const handle = tcpHandle(socket)
  return handle !== undefined && handle.getpeername({}) !== 0
}

function isTcpHandle(handle: unknown): handle is TcpHandle {
  return isReadable(handle) && typeof Reflect.get(handle, 'getpeername') === 'function'
}

function isReadable(handle: unknown): handle is Pick<TcpHandle, 'readStart'> {
  return typeof handle === 'object' && handle !== null && typeof Reflect.get(handle, 'readStart') === 'function'
}
