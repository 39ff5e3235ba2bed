import type { Address, DataPlane, Endpoint, Listener } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'

/** A connection of this process with itself. */
export interface LoopbackPair {
  readonly near: Endpoint
  readonly far: Endpoint
}

/**
 * Makes pairs of connected endpoints, over TCP on 127.0.0.1. With one, a TLS endpoint's plain bytes can be given to
 * something that wants a socket, such as a second TLS session: no data plane puts one TLS into another by itself. The
 * accepted side is told from strangers' connections by the port that we have dialed from, which nobody else can have.
 */
export class Loopback {
  readonly #dataPlane: DataPlane
  readonly #signal: AbortSignal
  #listener: Promise<Listener> | undefined
  /** Accepted, and perhaps ours: the dial has not been heard of yet. */
  readonly #early = new Map<number, Endpoint>()
  readonly #awaited = new Map<number, (far: Endpoint) => void>()
  #dials = 0

  /** Ends with the signal. */
  constructor(dataPlane: DataPlane, signal: AbortSignal) {
    this.#dataPlane = dataPlane
    this.#signal = signal
  }

  /** Rejects with ERR_LISTEN, ERR_DIAL or ERR_ENDPOINT_CLOSED (the signal). */
  async pair(): Promise<LoopbackPair> {
    this.#dials++
    try {
      const { address } = await this.#open()
      const near = await this.#dataPlane.dial({ host: '127.0.0.1', port: portOf(address) }, { signal: this.#signal })
      return { near, far: await this.#accepted(near) }
    } finally {
      this.#dials--
      if (this.#dials === 0) this.#dropStrangers()
    }
  }

  #open(): Promise<Listener> {
    if (this.#listener !== undefined) return this.#listener
    const listener = this.#dataPlane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => this.#accept(batch))
    this.#listener = listener
    // One that failed is tried again.
    listener.catch(() => {
      this.#listener = undefined
    })
    const close = (): void => void listener.then((open) => open.close()).catch(() => undefined)
    if (this.#signal.aborted) close()
    else this.#signal.addEventListener('abort', close, { once: true })
    return listener
  }

  #accept(batch: readonly Endpoint[]): void {
    for (const endpoint of batch) {
      const port = portOf(endpoint.remote)
      const take = this.#awaited.get(port)
      this.#awaited.delete(port)
      if (take !== undefined) take(endpoint)
      else if (this.#dials > 0) this.#early.set(port, endpoint)
      else endpoint.destroy('reset')
    }
  }

  async #accepted(near: Endpoint): Promise<Endpoint> {
    const port = portOf(near.local)
    const early = this.#early.get(port)
    this.#early.delete(port)
    if (early !== undefined) return early
    return await new Promise((resolve, reject) => {
      const fail = (): void => {
        this.#awaited.delete(port)
        near.destroy('reset')
        reject(new MillraceError('ERR_ENDPOINT_CLOSED'))
      }
      if (this.#signal.aborted) return fail()
      this.#signal.addEventListener('abort', fail, { once: true })
      this.#awaited.set(port, (far) => {
        this.#signal.removeEventListener('abort', fail)
        resolve(far)
      })
    })
  }

  #dropStrangers(): void {
    for (const endpoint of this.#early.values()) endpoint.destroy('reset')
    this.#early.clear()
  }
}

function portOf(address: Address): number {
  return address.family === 'unix' ? 0 : address.port
}
