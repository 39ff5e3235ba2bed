import type { Address, ClosedHow, Endpoint } from '../../src/dataplane/types.ts'

const address: Address = { family: 'ipv4', host: '192.0.2.1', port: 1 }

/** An endpoint without a connection, for what only keeps and hands out endpoints. */
export class FakeEndpoint implements Endpoint {
  readonly local = address
  readonly remote = address
  readonly encrypted: boolean
  readonly serverName = ''
  readonly tls = undefined
  readonly isVisit = false
  readonly written: Buffer[] = []
  destroyed: 'fin' | 'reset' | undefined
  #onClosed: ((how: ClosedHow) => void) | undefined

  constructor(encrypted = true) {
    this.encrypted = encrypted
  }

  /** The peer goes away. */
  die(how: ClosedHow): void {
    this.#onClosed?.(how)
  }

  peek(): Promise<Buffer> {
    return new Promise(() => undefined)
  }

  readHead(): Promise<Buffer> {
    return new Promise(() => undefined)
  }

  read(): Promise<Buffer> {
    return new Promise(() => undefined)
  }

  unread(): void {}

  write(bytes: Uint8Array): void {
    this.written.push(Buffer.from(bytes))
  }

  flushed(): Promise<void> {
    return Promise.resolve()
  }

  onClosed(callback: (how: ClosedHow) => void): void {
    this.#onClosed = callback
  }

  destroy(how: 'fin' | 'reset' = 'fin'): void {
    this.destroyed ??= how
  }
}
