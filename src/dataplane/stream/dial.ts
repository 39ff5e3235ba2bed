import { connect, type Socket } from 'node:net'
import { MillraceError } from '../../errors.ts'
import type { DialOptions, DialTarget } from '../types.ts'
import { refusedPath } from '../unix-path.ts'
import { describe } from './address.ts'
import { socketOptions } from './listener.ts'

/**
 * Connects; the socket is paused and has read nothing. Rejects with ERR_DIAL or ERR_DIAL_TIMEOUT. An aborted signal is
 * ERR_DIAL with the signal's reason as its cause.
 */
export function dialSocket(target: DialTarget, options: DialOptions = {}): Promise<Socket> {
  const { timeoutMs = 10_000, signal } = options
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new MillraceError('ERR_DIAL', describe(target), { cause: signal.reason }))
      return
    }
    const refused = refusedPath('connect', target)
    if (refused !== undefined) {
      reject(new MillraceError('ERR_DIAL', describe(target), { cause: refused }))
      return
    }
    let socket: Socket
    try {
      socket = connect({ ...target, ...socketOptions, autoSelectFamily: true })
    } catch (cause) {
      reject(new MillraceError('ERR_DIAL', describe(target), { cause }))
      return
    }
    socket.pause()
    const settle = (error: MillraceError | undefined): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.off('connect', onConnect)
      if (error === undefined) {
        socket.off('error', onError)
        resolve(socket)
      } else {
        // The 'error' listener stays: attempts that are still under way may fail later.
        socket.destroy()
        reject(error)
      }
    }
    const onConnect = (): void => settle(undefined)
    const onError = (cause: Error): void => settle(new MillraceError('ERR_DIAL', describe(target), { cause }))
    const onAbort = (): void => settle(new MillraceError('ERR_DIAL', describe(target), { cause: signal?.reason }))
    const onTimeout = (): void =>
      settle(new MillraceError('ERR_DIAL_TIMEOUT', `${describe(target)} did not answer for ${timeoutMs} ms`))
    const timer = Number.isFinite(timeoutMs) ? setTimeout(onTimeout, Math.min(timeoutMs, 2 ** 31 - 1)) : undefined
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', onConnect)
    socket.on('error', onError)
  })
}
