import assert from 'node:assert/strict'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { decodeFrame, encodeMessage, findFrameEnd } from '../../src/wire/codec.ts'
import { maxFrame } from '../../src/wire/limits.ts'
import type { Message, MessageType, UnknownMessage } from '../../src/wire/messages.ts'
import { looksLikeTls } from '../../src/wire/sniff.ts'
import type { TestCertificate } from '../dataplane/certificate.ts'
import { Mailbox, within } from './events.ts'

/** One connection at a {@link FakeRelay}, or any socket of a test, read by frames or raw. */
export class Wire {
  readonly socket: Socket
  #unread: Buffer = Buffer.alloc(0)
  #ended = false
  #failed: Error | undefined
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.#unread = Buffer.concat([this.#unread, bytes])
      this.#wake()
    })
    socket.on('end', () => {
      this.#ended = true
      this.#wake()
    })
    socket.on('error', (error) => {
      this.#failed = error
      this.#wake()
    })
    socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  /** The next message. */
  async receive(): Promise<Message | UnknownMessage> {
    const findEnd = findFrameEnd(maxFrame)
    await this.#until('a message', () => findEnd(this.#unread) > 0)
    return decodeFrame(this.#take(findEnd(this.#unread)))
  }

  /** The next message, which must be of this type. */
  async expect<T extends MessageType>(type: T): Promise<Extract<Message, { type: T }>> {
    const message = await this.receive()
    assert.equal(message.type, type)
    return message as Extract<Message, { type: T }>
  }

  /** Exactly the next `n` bytes. */
  async bytes(n: number): Promise<Buffer> {
    await this.#until(`${n} bytes`, () => this.#unread.length >= n)
    return this.#take(n)
  }

  /** Everything up to the peer's end. */
  async rest(): Promise<Buffer> {
    await this.#until('the end', () => this.#ended)
    if (this.#failed !== undefined) throw this.#failed
    return this.#take(this.#unread.length)
  }

  /** Waits for the end, however it comes; `reset` when an error came with it. */
  async end(): Promise<'fin' | 'reset'> {
    await this.#until('the end', () => this.#ended || this.#failed !== undefined, false)
    return this.#failed === undefined ? 'fin' : 'reset'
  }

  /** Sends a message in one write. */
  send(message: Message): void {
    this.socket.write(encodeMessage(message))
  }

  #take(n: number): Buffer {
    const taken = this.#unread.subarray(0, n)
    this.#unread = this.#unread.subarray(n)
    return taken
  }

  async #until(what: string, test: () => boolean, failing = true): Promise<void> {
    const wait = async (): Promise<void> => {
      while (!test()) {
        if (failing && this.#failed !== undefined) throw this.#failed
        if (failing && this.#ended) throw new Error(`the peer ended before ${what}, with ${this.#unread.length} bytes`)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
    await within(wait(), what)
  }
}

/** A relay of a test's own hand: it accepts, terminates TLS where the first bytes are TLS, and leaves the rest to the test. */
export class FakeRelay {
  readonly connections = new Mailbox<Wire>('a connection')
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  /** Listens on 127.0.0.1; `port` 0 is any. */
  static async listen(certificate: TestCertificate, port = 0): Promise<FakeRelay> {
    const secureContext = createSecureContext(certificate)
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    const relay = new FakeRelay(server)
    server.on('connection', (socket) => {
      relay.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('readable', () => {
        const first = socket.read() as Buffer | null
        if (first === null) return
        socket.unshift(first)
        const session = looksLikeTls(first) ? new TLSSocket(socket, { isServer: true, secureContext }) : socket
        relay.connections.put(new Wire(session))
      })
    })
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })
    return relay
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Ends like a killed process: the listener and every connection are gone. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** Accepts a control connection up to its `AuthResp`. */
  async control(answer: { readonly extensions?: readonly string[]; readonly clientId?: string }): Promise<Wire> {
    const wire = await this.connections.next()
    const auth = await wire.expect('Auth')
    wire.send({
      type: 'AuthResp',
      Version: '2',
      MmVersion: '1.7',
      ClientId: answer.clientId ?? (auth.ClientId || 'c'.repeat(32)),
      Error: '',
      ...(answer.extensions === undefined ? {} : { Extensions: answer.extensions }),
    })
    return wire
  }
}
