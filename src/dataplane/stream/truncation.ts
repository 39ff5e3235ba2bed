import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { hasFailed, readableHandle } from './handle.ts'

/** What libuv says of a handle that is being read already, UV_EALREADY, is negative; 0 is said of one that was not. */
const started = 0

/**
 * Finds out how a TLS session's peer ended: with close_notify, or by an end of the connection alone. Node tells nobody;
 * but libuv stops reading before it reports the connection's end, and goes on reading while it hands over the bytes in
 * which close_notify came. So in the moment of the session's end, a start of reading says which of the two it is.
 */
export class TruncationCheck {
  #truncated = false
  #reset = false

  /** Of a session that has just been made; `raw` is the socket below. */
  constructor(session: TLSSocket, raw: Socket) {
    const push = session.push.bind(session)
    session.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (chunk === null) {
        this.#truncated = endsWithoutNotice(session, raw)
        // Asked at once: reading has begun again, and would take the error without telling anybody.
        this.#reset = this.#truncated && hasFailed(raw)
      }
      return push(chunk, encoding)
    }
  }

  /** Whether it ended without close_notify; false while it has not ended. */
  get truncated(): boolean {
    return this.#truncated
  }

  /** Whether that end was a reset, which libuv takes for an end when bytes come with it. */
  get reset(): boolean {
    return this.#reset
  }
}

function endsWithoutNotice(session: TLSSocket, raw: Socket): boolean {
  const handle: unknown = Reflect.get(session, '_handle')
  // Reading was stopped while records of one chunk were handed out: the connection's end can't have been read.
  if (typeof handle === 'object' && handle !== null && Reflect.get(handle, 'reading') === false) return false
  return readableHandle(raw)?.readStart() === started
}
