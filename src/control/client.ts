import { connect, type Socket } from 'node:net'
import { MillraceError } from '../errors.ts'
import { type ControlReply, type ControlRequest, readLine, writeLine } from './exchange.ts'

/** How long a relay may take to answer, ms. */
const replyMs = 30_000

/**
 * Asks a running relay and gives its reply; the connection is closed. Rejects with ERR_CONTROL_ABSENT (nobody listens
 * there) or ERR_CONTROL.
 */
export async function askRelay(path: string, request: ControlRequest): Promise<ControlReply> {
  const socket = await connectControl(path)
  try {
    return await exchange(socket, request)
  } finally {
    socket.destroy()
  }
}

/** Sends one request and reads its reply. The socket stays open and the caller's. Rejects with ERR_CONTROL. */
export async function exchange(socket: Socket, request: ControlRequest, limitMs = replyMs): Promise<ControlReply> {
  await writeLine(socket, request)
  const reply = await readLine(socket, limitMs)
  if (reply === undefined) throw new MillraceError('ERR_CONTROL', 'the relay closed the connection without an answer')
  const { ok, error, ...rest } = reply
  return { ...rest, ok: ok === true, ...(typeof error === 'string' ? { error } : {}) }
}

/** Connects to a relay's control socket. Rejects with ERR_CONTROL_ABSENT or ERR_CONTROL. */
export function connectControl(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    socket.once('error', (error) => {
      const code = 'code' in error ? String(error.code) : ''
      const absent = code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK'
      const cause = { cause: error }
      if (absent) reject(new MillraceError('ERR_CONTROL_ABSENT', path, cause))
      else reject(new MillraceError('ERR_CONTROL', error.message, cause))
    })
    socket.once('connect', () => {
      // Later errors are those of reads and writes, which tell of them.
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })
}

/** Whether somebody listens there. Rejects with ERR_CONTROL when that can't be found out. */
export async function isAnswered(path: string): Promise<boolean> {
  try {
    ;(await connectControl(path)).destroy()
    return true
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_CONTROL_ABSENT') return false
    throw error
  }
}
