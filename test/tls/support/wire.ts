import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, TLSSocket, type TLSSocketOptions } from 'node:tls'
import type { Authority } from '../../contract/harness/certificates.ts'
import { eventually, within } from '../../contract/harness/wait.ts'
import { contentType, RecordReader, type TlsRecord } from './records.ts'
import { type Sealer, Sealer12, Sealer13 } from './sealer.ts'

export type Version = 'TLSv1.2' | 'TLSv1.3'

/** How the peer at the far end of a {@link Wire} behaves. */
export interface WireOptions {
  /** What the endpoint is to be; the session plays the other part. */
  readonly near: 'server' | 'client'
  readonly version?: Version
  readonly authority: Authority
  readonly session?: ConnectionOptions & TLSSocketOptions
  /** What leaves for the endpoint in place of the session's nth record. By default the record itself. */
  readonly outgoing?: (one: TlsRecord, index: number) => readonly Uint8Array[]
  /** Bytes that leave at once. */
  readonly piece?: number
}

const suites = 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256'
const label = { client: 'CLIENT_TRAFFIC_SECRET_0', server: 'SERVER_TRAFFIC_SECRET_0' } as const

/**
 * A session of Node's and a man in the middle between it and an endpoint: the session does the handshake, the man in the
 * middle sees every record, may replace, delay, keep or repeat it, and, having the session's keys, may seal any record
 * that no TLS library would ever send.
 */
export class Wire {
  readonly session: TLSSocket
  /** Records that the session has sent, and that came for it. */
  readonly sent: TlsRecord[] = []
  readonly received: TlsRecord[] = []
  /** How the endpoint's connection ended: `fin`, an errno, '' while it lives. */
  end = ''
  /** The session's failure: an alert of the endpoint's, mostly. */
  failure = ''
  /** While true, nothing of the session reaches the endpoint. */
  silent = false
  readonly #raw: Socket
  readonly #options: WireOptions
  readonly #role: 'client' | 'server'
  readonly #tap: Duplex
  readonly #outgoing = new RecordReader()
  readonly #incoming = new RecordReader()
  readonly #keys = new Map<string, readonly string[]>()
  #writing: Promise<void> = Promise.resolve()

  constructor(raw: Socket, options: WireOptions) {
    this.#raw = raw
    this.#options = options
    this.#role = options.near === 'server' ? 'client' : 'server'
    this.#tap = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        this.#fromSession(chunk)
        done()
      },
      final: (done) => {
        if (!this.silent) void this.finish()
        done()
      },
    })
    raw.setNoDelay(true)
    raw.on('data', (bytes: Buffer) => {
      this.received.push(...this.#incoming.take(bytes))
      this.#tap.push(bytes)
    })
    // A server of the tests hands its connections on paused.
    raw.resume()
    raw.on('end', () => {
      this.#over('fin')
      this.#tap.push(null)
    })
    raw.on('error', (error: NodeJS.ErrnoException) => this.#over(error.code ?? error.message))
    raw.on('close', () => {
      this.#over('closed')
      this.#tap.destroy()
    })
    this.session = this.#begin()
    const failed = (error: NodeJS.ErrnoException): void => {
      this.failure ||= error.code ?? error.message
    }
    this.session.on('error', failed)
    // Where a session of a server's, which no server has made, tells of the other side's alerts.
    this.session.on('_tlsError', failed)
    this.session.on('keylog', (line: Buffer) => {
      const [name = '', random = '', secret = ''] = line.toString('latin1').trim().split(' ')
      this.#keys.set(name, [random, secret])
    })
  }

  /** How many records with parts of a handshake came in the clear or, in TLS 1.2, at all. */
  get handshakes(): number {
    return this.received.filter(({ type }) => type === contentType.handshake).length
  }

  /** Resolves once the session's handshake is done; the endpoint's may need one more flight. */
  async established(): Promise<void> {
    const event = this.#role === 'client' ? 'secureConnect' : 'secure'
    await within(once(this.session, event), 'the handshake of the test peer')
  }

  /** Sends bytes to the endpoint behind those that are on their way. Resolves when the kernel has them. */
  inject(...parts: readonly Uint8Array[]): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      for (const part of parts) await this.#write(part)
    })
    return this.#writing
  }

  /** FIN without close_notify. */
  async finish(): Promise<void> {
    await this.inject()
    this.#raw.end()
  }

  /** RST. */
  async reset(): Promise<void> {
    await this.inject()
    this.#raw.resetAndDestroy()
  }

  /** Both ends of it. */
  destroy(): void {
    this.session.destroy()
    this.#raw.destroy()
  }

  /** Waits for the end of the endpoint's connection. */
  async untilOver(): Promise<string> {
    await eventually('the endpoint ends its connection', () => this.end !== '')
    return this.end
  }

  /** Takes the session's place: what it says is lost from now on, what is sealed comes in its stead. */
  async takeOver(): Promise<Sealer> {
    this.silent = true
    const sealer = this.#sealer()
    for (const one of this.sent) sealer.opens(one)
    await this.inject()
    return sealer
  }

  /** The same for TLS 1.3, where keys change. */
  async takeOver13(): Promise<Sealer13> {
    const sealer = await this.takeOver()
    if (!(sealer instanceof Sealer13)) throw new Error('this session is of TLS 1.2')
    return sealer
  }

  #begin(): TLSSocket {
    const { authority, version = 'TLSv1.3', session = {} } = this.#options
    const versions = { minVersion: version, maxVersion: version, ciphers: suites }
    if (this.#role === 'server') {
      return new TLSSocket(this.#tap, { isServer: true, ...authority.localhost, ...versions, ...session })
    }
    return connect({ socket: this.#tap, ca: authority.ca, servername: 'localhost', ...versions, ...session })
  }

  #sealer(): Sealer {
    const [, secret = ''] = this.#keys.get(label[this.#role]) ?? []
    if (secret !== '') return new Sealer13(Buffer.from(secret, 'hex'))
    const [random = '', master = ''] = this.#keys.get('CLIENT_RANDOM') ?? []
    if (master === '') throw new Error('the session has no keys yet')
    // The random numbers are in the hellos behind 4 bytes of header and 2 of version.
    const hello = (this.#role === 'client' ? this.received : this.sent)[0]
    if (hello === undefined) throw new Error('there was no ServerHello')
    const serverRandom = hello.body.subarray(6, 38)
    const secrets = { master: Buffer.from(master, 'hex'), clientRandom: Buffer.from(random, 'hex'), serverRandom }
    return new Sealer12(secrets, this.#role)
  }

  #fromSession(chunk: Buffer): void {
    for (const one of this.#outgoing.take(chunk)) {
      const index = this.sent.push(one) - 1
      if (this.silent) continue
      const parts = this.#options.outgoing?.(one, index) ?? [one.bytes]
      void this.inject(...parts.flatMap((part) => pieces(part, this.#options.piece)))
    }
  }

  async #write(part: Uint8Array): Promise<void> {
    if (this.#raw.destroyed || this.#raw.writableEnded) return
    await new Promise<void>((resolve) => {
      this.#raw.write(part, () => resolve())
    })
  }

  #over(how: string): void {
    this.end ||= how
  }
}

function pieces(part: Uint8Array, size = part.length): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < part.length; at += size) parts.push(part.subarray(at, at + size))
  return parts
}
