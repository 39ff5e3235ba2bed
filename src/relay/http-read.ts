import type { Endpoint, FindEnd } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { headEnd } from '../http/head-end.ts'
import type { HttpLimits } from '../http/limits.ts'
import { type HttpRequest, parseRequest } from '../http/request.ts'

/**
 * Reads and parses a visitor's first head; what follows it stays unread. Undefined when the visitor went away or stayed
 * silent, to whom there is nothing to say. Rejects with ERR_HTTP_* for everything that deserves an answer.
 */
export const readRequest = async (visitor: Endpoint, limits: HttpLimits): Promise<HttpRequest | undefined> => {
  const started = performance.now()
  const find = headEnd(limits.headBytes)
  let seen = 0
  let lastByteAt = started
  const watch: FindEnd = (bytes) => {
    if (bytes.length > seen) lastByteAt = performance.now()
    seen = bytes.length
    return find(bytes)
  }
  // readHead has one deadline for the whole head. A visitor who has sent something meanwhile gets another one.
  for (;;) {
    const pace = started + limits.headIdleMs + (seen / limits.headMinRate) * 1000
    const until = Math.min(lastByteAt + limits.headIdleMs, pace, started + limits.headTotalMs)
    const wait = Math.ceil(until - performance.now())
    if (wait <= 0) {
      if (seen === 0) return undefined
      throw new MillraceError('ERR_HTTP_HEAD_TIMEOUT')
    }
    try {
      return parseRequest(await visitor.readHead(watch, limits.headBytes, wait), limits)
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : undefined
      if (code === 'ERR_ENDPOINT_READ_TIMEOUT') continue
      if (code === 'ERR_ENDPOINT_RESET' || code === 'ERR_ENDPOINT_CLOSED') return undefined
      if (code !== 'ERR_ENDPOINT_ENDED') throw error
      if (seen === 0) return undefined
      throw new MillraceError('ERR_HTTP_SYNTAX', 'it ends inside its head', { cause: error })
    }
  }
}
