import net from 'node:net'
import tls from 'node:tls'
import { decodeFrame, encodeMessage, findFrameEnd } from '../../src/wire/codec.ts'
import type { Message, MessageType, UnknownMessage } from '../../src/wire/messages.ts'

/** How a connection ended for us. */
export type Ending = 'fin' | 'reset'

const waitMs = 15_000

/** A client's connection that reads frames and raw bytes, for agents and visitors made by hand. */
export class FrameSocket {
  readonly socket: net.Socket
  readonly #raw: net.Socket
  #buffer: Buffer = Buffer.alloc(0)
  /** Messages that were read while another type was awaited. */
  readonly #parked: (Message | UnknownMessage)[] = []
  #ended: Ending | undefined
  readonly #wakers = new Set<() => void>()

  /** `raw` is what lies beneath a TLS socket. */
  constructor(socket: net.Socket, raw = socket) {
    this.socket = socket
    this.#raw = raw
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk])
      this.#wake()
    })
    socket.on('end', () => this.#finish('fin'))
    socket.on('error', () => this.#finish('reset'))
    socket.on('close', () => this.#finish('fin'))
  }

  /** Connects. A connection that is reset at once is one as well: it has ended. */
  static async plain(port: number, host = '127.0.0.1'): Promise<FrameSocket> {
    const socket = net.connect({ port, host, allowHalfOpen: true })
    const connection = new FrameSocket(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve() : reject(error)))
    })
    return connection
  }

  static async tls(port: number, options: tls.ConnectionOptions = {}): Promise<FrameSocket> {
    const raw = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    // A TLSSocket passes its socket's half-open setting on.
    const socket = tls.connect({ socket: raw, rejectUnauthorized: false, ...options })
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', () => resolve()).once('error', reject)
      raw.once('error', reject)
    })
    return new FrameSocket(socket, raw)
  }

  /** Bytes that have come and not been taken. */
  get unread(): Buffer {
    return this.#buffer
  }

  send(message: Message): void {
    this.socket.write(encodeMessage(message))
  }

  /** As ngrok 1.7 sends: the length and the body in two records. */
  send1x(message: Message): void {
    const frame = encodeMessage(message)
    this.socket.write(frame.subarray(0, 8))
    this.socket.write(frame.subarray(8))
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(bytes)
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  reset(): void {
    this.#raw.resetAndDestroy()
    // Node does not always end a TLS session whose socket was taken from under it.
    if (this.#raw !== this.socket) this.socket.destroy()
  }

  /** The next message. */
  async message(): Promise<Message | UnknownMessage> {
    return await this.#until('a message', () => this.#parked.shift() ?? this.#decode())
  }

  /** The next message of this type; others stay for whoever waits for them. */
  async next<T extends MessageType>(type: T): Promise<Extract<Message, { type: T }>> {
    return await this.#until(`a ${type}`, () => {
      const index = this.#parked.findIndex((message) => message.type === type)
      let found = index === -1 ? undefined : this.#parked.splice(index, 1)[0]
      while (found === undefined) {
        const message = this.#decode()
        if (message === undefined) return undefined
        if (message.type === type) found = message
        else this.#parked.push(message)
      }
      return found as Extract<Message, { type: T }>
    })
  }

  /** Exactly n bytes, as text. */
  async read(n: number): Promise<string> {
    return await this.#until(`${n} bytes`, () =>
      this.#buffer.length < n ? undefined : this.#take(n).toString('latin1'),
    )
  }

  /** All bytes up to the end, as text. */
  async rest(): Promise<string> {
    await this.ended()
    return this.#take(this.#buffer.length).toString('latin1')
  }

  /** How the connection ended. */
  async ended(): Promise<Ending> {
    return await this.#until('the end', () => this.#ended, false)
  }

  #decode(): Message | UnknownMessage | undefined {
    const length = findFrameEnd(1 << 20)(this.#buffer)
    return length === 0 ? undefined : decodeFrame(this.#take(length))
  }

  #take(length: number): Buffer {
    const taken = this.#buffer.subarray(0, length)
    this.#buffer = this.#buffer.subarray(length)
    return taken
  }

  #finish(how: Ending): void {
    if (how === 'reset' || this.#ended === undefined) this.#ended = how
    this.#wake()
  }

  #wake(): void {
    for (const waker of this.#wakers) waker()
  }

  #until<T>(what: string, poll: () => T | undefined, failAtEnd = true): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(() => reject(new Error(`waited for ${what}`))), waitMs)
      const settle = (finish: () => void): void => {
        clearTimeout(timer)
        this.#wakers.delete(check)
        finish()
      }
      const check = (): void => {
        try {
          const value = poll()
          if (value !== undefined) settle(() => resolve(value))
          else if (failAtEnd && this.#ended !== undefined) {
            settle(() => reject(new Error(`the connection ended (${this.#ended}) before ${what}`)))
          }
        } catch (error) {
          settle(() => reject(error instanceof Error ? error : new Error(String(error))))
        }
      }
      this.#wakers.add(check)
      check()
    })
  }
}
