import { readSync } from 'node:fs'
import type { Socket } from 'node:net'

/** What is used of the handle below a Node socket. Not documented, and the same in Node 18 to 26. */
interface TcpHandle {
  /** The descriptor; -1 when closed, absent on Windows. */
  readonly fd?: number
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

const oneByte = new Uint8Array(1)

/**
 * True when a connection that seems to have ended has failed (been reset, most likely) instead. Asks the kernel by a read,
 * which takes the error away; to be asked only when libuv has reported an end.
 */
export function hasFailed(socket: Socket): boolean {
  const fd = tcpHandle(socket)?.fd ?? -1
  if (fd < 0) return false
  try {
    return readSync(fd, oneByte, 0, 1, null) > 0
  } catch (cause) {
    return !(cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN')
  }
}

function isTcpHandle(handle: unknown): handle is TcpHandle {
  return isReadable(handle) && typeof Reflect.get(handle, 'getpeername') === 'function'
}

function isReadable(handle: unknown): handle is Pick<TcpHandle, 'readStart'> {
  return typeof handle === 'object' && handle !== null && typeof Reflect.get(handle, 'readStart') === 'function'
}
