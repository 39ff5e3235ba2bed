import type { Address, Endpoint } from '../../src/dataplane/types.ts'
import { MillraceError } from '../../src/errors.ts'

const nowhere: Address = { family: 'unix', path: '' }

/** An endpoint that receives the given chunks one after another, then the peer's end, and keeps what is written. */
export interface ScriptedEndpoint extends Endpoint {
  readonly written: Buffer[]
  /** The most bytes that a read ever held. */
  readonly held: () => number
}

/** Builds one; its reads follow the rules of {@link Endpoint}. */
export function scriptedEndpoint(chunks: Iterable<Uint8Array>): ScriptedEndpoint {
  const source = chunks[Symbol.iterator]()
  const written: Buffer[] = []
  let unread: Buffer = Buffer.alloc(0)
  let held = 0
  const take = (n: number): Buffer => {
    const bytes = unread.subarray(0, n)
    unread = unread.subarray(n)
    return bytes
  }
  const more = (): boolean => {
    const next = source.next()
    if (next.done === true) return false
    unread = Buffer.concat([unread, next.value])
    held = Math.max(held, unread.length)
    return true
  }
  return {
    local: nowhere,
    remote: nowhere,
    encrypted: false,
    serverName: '',
    tls: undefined,
    isVisit: false,
    written,
    held: () => held,
    async peek(n) {
      while (unread.length < n && more());
      return unread
    },
    async readHead(findEnd, limit) {
      for (;;) {
        const end = findEnd(unread.subarray(0, limit))
        if (end > 0) return take(end)
        if (unread.length >= limit) throw new MillraceError('ERR_ENDPOINT_HEAD_TOO_LARGE', `${limit}`)
        if (!more()) throw new MillraceError('ERR_ENDPOINT_ENDED', `${unread.length}`)
      }
    },
    async read(_deadlineMs, max = 65_536) {
      while (unread.length === 0 && more());
      return take(max)
    },
    unread(bytes) {
      unread = Buffer.concat([bytes, unread])
    },
    write(bytes) {
      written.push(Buffer.from(bytes))
    },
    async flushed() {},
    onClosed() {},
    destroy() {},
  }
}
