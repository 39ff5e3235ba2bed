import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { headEnd } from '../http/head-end.ts'
import type { HttpLimits } from '../http/limits.ts'

/** The head of a service's final answer. */
export interface Answer {
  /** 101, or 200 to 599. */
  readonly status: number
  /** Its bytes, with the interim answers that came before it. */
  readonly head: Buffer
}

/**
 * The same head with one more field in its last part, that of the final answer; unchanged when a part has one of that
 * name: the service's own word counts.
 */
export const withField = (head: Buffer, name: string, value: string): Buffer => {
  const text = head.toString('latin1')
  if (text.toLowerCase().includes(`\r\n${name.toLowerCase()}:`)) return head
  return Buffer.from(`${text.slice(0, -2)}${name}: ${value}\r\n\r\n`, 'latin1')
}

const statusPattern = /^HTTP\/1\.[01] ([1-5][0-9][0-9])[ \r]/

/**
 * Reads a service's answer up to the end of its head: what follows stays unread. Interim answers (100, 103) are passed
 * over, all heads together within the limit for one. Rejects with ERR_ENDPOINT_* (ERR_ENDPOINT_READ_TIMEOUT after
 * `timeoutMs`) or ERR_HTTP_SYNTAX.
 */
export const readAnswer = async (proxy: Endpoint, limits: HttpLimits, timeoutMs: number): Promise<Answer> => {
  const deadline = performance.now() + timeoutMs
  const heads: Buffer[] = []
  let room = limits.headBytes
  for (;;) {
    const wait = Math.max(1, Math.ceil(deadline - performance.now()))
    const head = await proxy.readHead(headEnd(room), room, wait)
    heads.push(head)
    room -= head.length
    const status = Number(statusPattern.exec(head.toString('latin1', 0, 16))?.[1])
    if (Number.isNaN(status)) throw new MillraceError('ERR_HTTP_SYNTAX', 'the answer has no status')
    if (status === 101 || status >= 200) return { status, head: Buffer.concat(heads) }
    if (room <= 0) throw new MillraceError('ERR_HTTP_HEAD_TOO_LARGE', `${limits.headBytes} bytes`)
  }
}
