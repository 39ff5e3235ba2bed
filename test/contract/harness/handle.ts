import type { Socket } from 'node:net'

/** The part of a Node stream handle that has no public face. */
interface StreamHandle {
  reading: boolean
  readStart(): number
  readStop(): number
  getpeername?(address: object): number
}

function handleOf(socket: Socket): StreamHandle | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  return typeof handle === 'object' && handle !== null ? (handle as StreamHandle) : undefined
}

/** Has libuv read a socket, or stop at once: `pause()` alone lets it fill Node's buffer first. */
export function setReading(socket: Socket, reading: boolean): void {
  const handle = handleOf(socket)
  if (handle === undefined || handle.reading === reading || socket.readableEnded) return
  handle.reading = reading
  if (reading) handle.readStart()
  else handle.readStop()
}

/** True when the connection is gone from the kernel, which happens by a reset as long as we have not sent FIN. */
export function isLost(socket: Socket): boolean {
  return (handleOf(socket)?.getpeername?.({}) ?? 0) !== 0
}
