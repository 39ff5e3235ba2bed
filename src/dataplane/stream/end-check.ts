import type { Socket } from 'node:net'
import { tcpHandle } from './handle.ts'

/**
 * Finds out whether an 'end' was one. When bytes and a RST arrive together, libuv reads the bytes and then reports an
 * end without asking the kernel again (POLLHUP after a short read), so that a cut connection looks complete. Reading
 * once more tells: 0 bytes again, or the error, which then comes as the socket's 'error' event.
 */
export class EndCheck {
  readonly #socket: Socket
  readonly #onEnd: () => void
  #over = false

  /** `raw` is the socket below a TLSSocket. `onEnd` is called in a later turn, unless there was an error instead. */
  constructor(socket: Socket, raw: Socket | undefined, onEnd: () => void) {
    this.#socket = socket
    this.#onEnd = onEnd
    const destroy = socket.destroy.bind(socket)
    // With both directions ended Node would close the socket now; that has to wait.
    socket.destroy = (error?: Error): Socket => (error === undefined ? socket : destroy(error))
    tcpHandle(raw ?? socket)?.readStart()
    // Two turns, as the first may end before the loop has polled again.
    setImmediate(() => setImmediate(() => this.#finish()))
  }

  /** Gives the socket its `destroy` back at once; `onEnd` is not called any more. */
  cancel(): void {
    if (this.#over) return
    this.#over = true
    Reflect.deleteProperty(this.#socket, 'destroy')
  }

  #finish(): void {
    if (this.#over) return
    this.cancel()
    const socket = this.#socket
    if (socket.destroyed || socket.errored !== null) return
    this.#onEnd()
    if (socket.writableFinished) socket.destroy()
  }
}
