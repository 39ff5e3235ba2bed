import assert from 'node:assert/strict'
import { connect, type TLSSocket } from 'node:tls'
import { Mailbox } from '../agent/events.ts'
import { frameOf, mapped, twoWrites } from './script.ts'

/** A TLS connection as ngrok 1.7 has it: it reads a body with one read call, so a frame in two records breaks it. */
export class Connection17 {
  readonly frames = new Mailbox<Buffer>('a frame')
  readonly payload = new Mailbox<Buffer>('payload')
  readonly socket: TLSSocket
  readonly ended: Promise<unknown>
  readonly secured: Promise<unknown>
  #raw = false

  /** `frames` 1: a proxy connection, on which everything behind the first frame is payload. */
  constructor(port: number, kind: 'control' | 'proxy') {
    // 1.7 as it is built for self-hosting trusts a CA of its own; what it checks is no part of the protocol.
    this.socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
    this.secured = new Promise((resolve) => this.socket.once('secureConnect', resolve))
    this.ended = new Promise((resolve) => {
      this.socket.once('close', () => {
        this.frames.close()
        resolve(undefined)
      })
    })
    this.socket.on('error', () => undefined)
    this.socket.on('data', (record: Buffer) => {
      let unread = record
      while (unread.length > 0) {
        if (this.#raw) {
          this.payload.put(unread)
          return
        }
        const length = Number(unread.readBigInt64LE(0))
        assert.ok(unread.length >= 8 + length, `a frame of ${length} bytes came in more than one record`)
        this.#raw = kind === 'proxy'
        this.frames.put(Buffer.from(unread.subarray(0, 8 + length)))
        unread = unread.subarray(8 + length)
      }
    })
  }

  /** Sends a frame as 1.7 does: its length and its body in two records. */
  send(frame: Buffer): void {
    for (const part of twoWrites(frame)) this.socket.write(part)
  }
}

/** An ngrok 1.7 client: it sends what the recorded one sent, and opens one proxy connection per `ReqProxy`. */
export class Client17 {
  readonly control: Connection17
  /** Frames of the control connection that ask for nothing at once: all but `ReqProxy`. */
  readonly answers = new Mailbox<Buffer>('an answer')
  /** Proxy connections that have been given a visitor: `StartProxy` has arrived. */
  readonly visitors = new Mailbox<{ readonly start: Buffer; readonly connection: Connection17 }>('a visitor')
  readonly #asked = new Mailbox<undefined>('a ReqProxy')
  readonly #port: number
  #proxies: Connection17[] = []
  #clientId = ''
  #reqProxies = 0

  constructor(port: number) {
    this.#port = port
    this.control = new Connection17(port, 'control')
  }

  /** How many proxy connections the relay has asked for. */
  get reqProxies(): number {
    return this.#reqProxies
  }

  /** Sends the recorded `Auth` of a connection and returns the relay's answer and the client id in it. */
  async login(auth: Buffer): Promise<{ readonly answer: Buffer; readonly clientId: string }> {
    this.control.send(auth)
    const answer = await this.control.frames.next()
    this.#clientId = /"ClientId":"([^"]*)"/.exec(answer.toString('utf8', 8))?.[1] ?? ''
    void this.#listen()
    return { answer, clientId: this.#clientId }
  }

  /** Waits until so many proxy connections have sent `RegProxy`. */
  async registered(count: number): Promise<void> {
    while (this.#proxies.length < count) await this.#asked.next()
    await Promise.all(this.#proxies.map(({ secured }) => secured))
  }

  /** Ends the proxy connections that wait, as a firewall would. */
  dropProxies(): void {
    for (const { socket } of this.#proxies) socket.destroy()
    this.#proxies = []
  }

  /** Ends like a killed process. */
  destroy(): void {
    for (const { socket } of [this.control, ...this.#proxies]) socket.destroy()
  }

  async #listen(): Promise<void> {
    const reqProxy = frameOf(1, 'relay', 'ReqProxy')
    for (;;) {
      const frame = await this.control.frames.next().catch(() => undefined)
      if (frame === undefined) return
      if (frame.equals(reqProxy)) {
        this.#reqProxies += 1
        void this.#openProxy()
        this.#asked.put(undefined)
      } else {
        this.answers.put(frame)
      }
    }
  }

  async #openProxy(): Promise<void> {
    const connection = new Connection17(this.#port, 'proxy')
    this.#proxies.push(connection)
    connection.send(mapped(frameOf(2, 'agent', 'RegProxy'), { af129b89b18621f56d6ccb99e71f3b40: this.#clientId }))
    const start = await connection.frames.next().catch(() => undefined)
    if (start !== undefined) this.visitors.put({ start, connection })
  }
}
