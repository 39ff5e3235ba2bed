import type { DataPlane, Endpoint, InheritedSocket, Listener } from '../dataplane/types.ts'

type OnEndpoints = (batch: readonly Endpoint[]) => void

/** What the ports are held with. May change. */
export interface HeldPortsOptions {
  readonly dataPlane: DataPlane
  /** Visitors that wait on one port. Beyond: a reset. */
  readonly waiters: number
  /** How long a visitor waits, ms. Then: a reset. */
  readonly waitMs: number
  /** What comes before visitors are served, as for any other listener. */
  readonly before: (serve: OnEndpoints) => OnEndpoints
}

interface HeldPort {
  readonly listener: Listener
  readonly until: number
  readonly waiting: { readonly visitor: Endpoint; readonly deadline: number }[]
  serve: OnEndpoints
}

/** Ports of TCP tunnels that an earlier relay had: visitors wait there until their agent has come as well. */
export class HeldPorts {
  readonly #options: HeldPortsOptions
  readonly #ports = new Map<number, HeldPort>()

  constructor(options: HeldPortsOptions) {
    this.#options = options
  }

  /** The listeners that nobody has claimed. */
  get listeners(): readonly Listener[] {
    return [...this.#ports.values()].map(({ listener }) => listener)
  }

  /** Listens on an inherited socket and holds it for so long. Rejects with ERR_LISTEN. */
  async hold(socket: InheritedSocket, graceMs: number): Promise<void> {
    const { before, dataPlane } = this.#options
    const waiting: HeldPort['waiting'] = []
    let held: HeldPort | undefined
    const wait: OnEndpoints = (batch) => {
      const { waiters, waitMs } = this.#options
      for (const visitor of batch) {
        if (waiting.length >= waiters) visitor.destroy('reset')
        else waiting.push({ visitor, deadline: performance.now() + waitMs })
      }
    }
    const deliver = before((batch) => (held?.serve ?? wait)(batch))
    const listener = await dataPlane.listen(socket, {}, deliver)
    held = { listener, until: performance.now() + graceMs, waiting, serve: wait }
    if (listener.address.family !== 'unix') this.#ports.set(listener.address.port, held)
  }

  /** The listener of a port, whose visitors are the caller's from now on, the first that have waited; undefined: not held. */
  claim(port: number, serve: OnEndpoints): Listener | undefined {
    const held = this.#ports.get(port)
    if (held === undefined) return undefined
    this.#ports.delete(port)
    held.serve = serve
    serve(held.waiting.splice(0).map(({ visitor }) => visitor))
    return held.listener
  }

  /** To be called about once a second, with the time of `performance.now()`. */
  tick(now: number): void {
    for (const [port, { listener, until, waiting }] of this.#ports) {
      while (waiting[0] !== undefined && waiting[0].deadline <= now) waiting.shift()?.visitor.destroy('reset')
      if (until > now) continue
      this.#ports.delete(port)
      for (const { visitor } of waiting) visitor.destroy('reset')
      void listener.close()
    }
  }

  /** Gives all up; `end` closes a listener, or leaves it to another process. */
  async close(end: (listener: Listener) => Promise<void>): Promise<void> {
    const ports = [...this.#ports.values()]
    this.#ports.clear()
    await Promise.all(ports.map(({ listener }) => end(listener)))
    for (const { waiting } of ports) for (const { visitor } of waiting) visitor.destroy('reset')
  }
}
