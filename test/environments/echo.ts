import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** A service that sends everything back, on a free port of loopback; ends with its test. */
export async function startEcho(t: TestContext): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an IP address')
  return address.port
}

/** A visitor of an echo. */
export class Visitor {
  readonly #socket: Socket
  readonly #over: Promise<false>
  #count = 0

  constructor(t: TestContext, port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    this.#socket.on('error', () => {})
    this.#over = new Promise((resolve) => {
      this.#socket.on('close', () => resolve(false)).on('end', () => resolve(false))
    })
    t.after(() => this.#socket.destroy())
  }

  /** Sends something of so many bytes and awaits it back: true; false when the connection ended instead. */
  async ping(bytes = 64): Promise<boolean> {
    this.#count += 1
    const sent = Buffer.alloc(bytes, this.#count & 0xff)
    this.#socket.write(sent)
    return await Promise.race([this.#receive(sent), this.#over])
  }

  /** Resolves with true once all of it has come back. */
  #receive(sent: Buffer): Promise<true> {
    let seen = 0
    return new Promise((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        if (!chunk.equals(sent.subarray(seen, seen + chunk.length))) reject(new Error(`wrong bytes from ${seen} on`))
        seen += chunk.length
        if (seen < sent.length) return
        this.#socket.off('data', onData)
        resolve(true)
      }
      this.#socket.on('data', onData)
    })
  }

  /** Leaves. */
  close(): void {
    this.#socket.destroy()
  }
}
