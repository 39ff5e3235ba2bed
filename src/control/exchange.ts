import type { Socket } from 'node:net'
import { MillraceError } from '../errors.ts'

/** The longest line of a request or a reply, bytes. */
export const maxLineBytes = 64 * 1024

/** What is asked of a running relay: one line of JSON. Other keys belong to the type. */
export interface ControlRequest {
  readonly type: string
  readonly [key: string]: unknown
}

/** What it answers: one line of JSON. `error` says why not; other keys belong to the request's type. */
export interface ControlReply {
  readonly ok: boolean
  readonly error?: string
  readonly [key: string]: unknown
}

/** Writes one line. Resolves when the kernel has it; rejects with ERR_CONTROL when the peer is gone. */
export function writeLine(socket: Socket, value: ControlRequest | ControlReply): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(`${JSON.stringify(value)}\n`, (error) => {
      if (error === undefined || error === null) resolve()
      else reject(new MillraceError('ERR_CONTROL', error.message, { cause: error }))
    })
  })
}

/**
 * Reads one line and parses it; undefined = the peer ended before a line began. What follows the line stays in the
 * socket, and nothing is read of it. Rejects with ERR_CONTROL: too long, cut short, too late, or no JSON object.
 */
export async function readLine(
  socket: Socket,
  limitMs: number,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const line = await readText(socket, limitMs)
  if (line === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new MillraceError('ERR_CONTROL', 'a line is no JSON', { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MillraceError('ERR_CONTROL', 'a line is no JSON object')
  }
  return value as Readonly<Record<string, unknown>>
}

function readText(socket: Socket, limitMs: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed || socket.readableEnded) {
      resolve(undefined)
      return
    }
    let held = Buffer.alloc(0)
    const timer = setTimeout(() => settle(() => fail(`nothing came within ${limitMs} ms`)), limitMs)
    const fail = (why: string, cause?: unknown): void => reject(new MillraceError('ERR_CONTROL', why, { cause }))
    const settle = (then: () => void): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onEnd)
      socket.pause()
      then()
    }
    const onData = (chunk: Buffer): void => {
      held = Buffer.concat([held, chunk])
      const end = held.indexOf(10)
      if (end > maxLineBytes || (end < 0 && held.length > maxLineBytes)) {
        settle(() => fail(`a line is longer than ${maxLineBytes} bytes`))
      } else if (end >= 0) {
        settle(() => {
          if (end + 1 < held.length) socket.unshift(held.subarray(end + 1))
          resolve(held.toString('utf8', 0, end))
        })
      }
    }
    const onEnd = (): void => settle(() => (held.length === 0 ? resolve(undefined) : fail('a line was cut short')))
    const onError = (error: Error): void => settle(() => fail(error.message, error))
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onEnd)
    socket.resume()
  })
}
