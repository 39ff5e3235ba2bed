import { Socket } from 'node:net'
import { markTaken } from '../adopt-check.ts'

/** A socket that nobody else has, and what had been read from it. */
export interface TakenSocket {
  readonly socket: Socket
  readonly unread: readonly Buffer[]
}

/**
 * Takes a checked socket from its user: its handle moves to a new object, and the old one closes at once, as it does
 * when the native data plane takes it. So nothing that the user has attached to it, such as a time-out or a listener
 * that destroys the other socket, can reach the join.
 */
export function takeSocket(socket: Socket): TakenSocket {
  markTaken(socket)
  socket.unpipe()
  socket.removeAllListeners('data')
  socket.removeAllListeners('readable')
  socket.pause()
  const unread: Buffer[] = []
  for (let chunk: unknown = socket.read(); Buffer.isBuffer(chunk); chunk = socket.read()) unread.push(chunk)
  const handle: unknown = Reflect.get(socket, '_handle')
  // What net.Server does with the handle of a new connection; @types/node knows only the options that users need.
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true, readable: true, writable: true }
  const heir = new Socket(options)
  heir.setNoDelay(true)
  Reflect.set(socket, '_handle', null)
  socket.on('error', () => {})
  socket.destroy()
  return { socket: heir, unread }
}
