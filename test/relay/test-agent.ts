import assert from 'node:assert/strict'
import type { Auth, AuthResp, NewTunnel, ReqTunnel, StartProxy } from '../../src/wire/messages.ts'
import { FrameSocket } from './frame-socket.ts'

export interface TestAgentOptions {
  readonly token?: string
  readonly clientId?: string
  readonly version?: string
  /** Absent: an ngrok 1.x agent. */
  readonly extensions?: readonly string[]
}

/** An agent made by hand: speaks the wire protocol over node:tls and does nothing by itself. */
export class TestAgent {
  readonly control: FrameSocket
  readonly auth: AuthResp
  readonly #port: number
  readonly #proxies: FrameSocket[] = []
  #requests = 0

  constructor(port: number, control: FrameSocket, auth: AuthResp) {
    this.#port = port
    this.control = control
    this.auth = auth
  }

  /** Says Auth on a new control connection; the answer may be a refusal. */
  static async greet(port: number, options: TestAgentOptions): Promise<{ control: FrameSocket; auth: AuthResp }> {
    const control = await FrameSocket.tls(port)
    const auth: Auth = {
      type: 'Auth',
      Version: options.version ?? '2',
      MmVersion: '1.7',
      User: options.token ?? '',
      Password: '',
      OS: 'linux',
      Arch: 'amd64',
      ClientId: options.clientId ?? '',
      ...(options.extensions === undefined ? {} : { Extensions: options.extensions }),
    }
    if (options.extensions === undefined) control.send1x(auth)
    else control.send(auth)
    return { control, auth: await control.next('AuthResp') }
  }

  static async connect(port: number, options: TestAgentOptions): Promise<TestAgent> {
    const { control, auth } = await TestAgent.greet(port, options)
    assert.equal(auth.Error, '')
    return new TestAgent(port, control, auth)
  }

  get clientId(): string {
    return this.auth.ClientId
  }

  /** Sends a request for tunnels. */
  request(fields: Partial<ReqTunnel>): string {
    this.#requests++
    const ReqId = this.#requests.toString(16).padStart(16, '0')
    const request: ReqTunnel = {
      type: 'ReqTunnel',
      ReqId,
      Protocol: 'tcp',
      Hostname: '',
      Subdomain: '',
      HttpAuth: '',
      RemotePort: 0,
      ...fields,
    }
    this.control.send(request)
    return ReqId
  }

  /** Asks for tunnels and returns the first answer. */
  async ask(fields: Partial<ReqTunnel>): Promise<NewTunnel> {
    this.request(fields)
    return await this.control.next('NewTunnel')
  }

  /** Asks for a TCP tunnel and returns its port. */
  async tcp(fields: Partial<ReqTunnel> = {}): Promise<{ readonly url: string; readonly port: number }> {
    const answer = await this.ask({ Protocol: 'tcp', ...fields })
    assert.equal(answer.Error, '')
    return { url: answer.Url, port: Number(answer.Url.split(':').at(-1)) }
  }

  /** Opens a proxy connection without waiting for a request. */
  async openProxy(how: { ticket?: string; plain?: boolean; clientId?: string } = {}): Promise<FrameSocket> {
    const proxy = await (how.plain === true ? FrameSocket.plain(this.#port) : FrameSocket.tls(this.#port))
    this.#proxies.push(proxy)
    const ticket = how.ticket === undefined ? {} : { Ticket: how.ticket }
    const message = { type: 'RegProxy', ClientId: how.clientId ?? this.clientId, ...ticket } as const
    if (how.ticket === undefined) proxy.send1x(message)
    else proxy.send(message)
    return proxy
  }

  /** Waits for the next ReqProxy and opens what it asks for. */
  async answerReqProxy(how: { plain?: boolean } = {}): Promise<readonly FrameSocket[]> {
    const { Tickets } = await this.control.next('ReqProxy')
    if (Tickets === undefined) return [await this.openProxy(how)]
    return await Promise.all(Tickets.map((ticket) => this.openProxy({ ...how, ticket })))
  }

  /** Serves visitors as an echo service, one proxy connection for each request of the relay, until destroyed. */
  echo(how: { plain?: boolean } = {}): void {
    const serve = async (proxy: FrameSocket): Promise<void> => {
      await proxy.next('StartProxy')
      proxy.socket.removeAllListeners('data')
      proxy.socket.pause()
      // Not written: Node reads on within an empty write, and nobody would listen.
      if (proxy.unread.length > 0) proxy.socket.unshift(proxy.unread)
      proxy.socket.pipe(proxy.socket)
    }
    const run = async (): Promise<void> => {
      for (;;) {
        for (const proxy of await this.answerReqProxy(how)) serve(proxy).catch(() => undefined)
      }
    }
    run().catch(() => undefined)
  }

  /** Answers the next request of the relay; resolves when a visitor is there. */
  async visitor(): Promise<{ readonly proxy: FrameSocket; readonly start: StartProxy }> {
    const proxies = await this.answerReqProxy()
    // The visitor gets whichever is registered first.
    return await Promise.any(proxies.map(async (proxy) => ({ proxy, start: await proxy.next('StartProxy') })))
  }

  destroy(): void {
    this.control.destroy()
    for (const proxy of this.#proxies) proxy.destroy()
  }
}
