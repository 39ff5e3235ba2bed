import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/**
 * A way to a port of this host that can be cut as by a power loss: from then on nothing passes on what was open, in
 * either direction, not even an end. What connects later passes.
 */
export class Forwarder {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** The pairs that nothing has cut. */
  #live = new Set<readonly [Socket, Socket]>()

  private constructor(port: number) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      const pair = [near, far] as const
      this.#live.add(pair)
      for (const [from, to] of [pair, [far, near] as const]) {
        this.#sockets.add(from)
        from.on('error', () => undefined)
        from.on('data', (bytes) => {
          if (this.#live.has(pair)) to.write(bytes)
        })
        from.on('end', () => {
          if (this.#live.has(pair)) to.end()
        })
        from.on('close', () => {
          if (this.#live.delete(pair)) to.destroy()
        })
      }
    })
  }

  /** Leads to a port of this host, until the test ends. */
  static async to(t: Pick<TestContext, 'after'>, port: number): Promise<Forwarder> {
    const forwarder = new Forwarder(port)
    await new Promise<void>((resolve) => forwarder.#server.listen(0, '127.0.0.1', resolve))
    t.after(async () => {
      forwarder.cut()
      const closed = new Promise((resolve) => forwarder.#server.close(resolve))
      for (const socket of forwarder.#sockets) socket.destroy()
      await closed
    })
    return forwarder
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Nothing that is open passes any more. */
  cut(): void {
    this.#live = new Set()
  }
}
