import type { DataPlane, Endpoint, InheritedSocket, Listener } from '../dataplane/types.ts'
import type { ErrorCode } from '../errors.ts'
import type { RelayLimits } from '../limits/relay.ts'
import { formatAddress } from '../net/address.ts'
import { AddressCount } from '../net/address-group.ts'
import type { Refusals } from '../observe/refusals.ts'
import { hostOf, originOf } from './origin.ts'

type OnEndpoints = (batch: readonly Endpoint[]) => void

/** What the ports are held with. */
export interface HeldPortsOptions {
  readonly dataPlane: DataPlane
  /**
   * As they are at each visitor. `waiters`: those on one port, beyond ERR_POOL_FULL; `pendingPerAddress`: those on all
   * ports, beyond ERR_ADDRESS_LIMIT; `waiterTimeoutMs`: then ERR_POOL_TIMEOUT. Each a reset.
   */
  readonly limits: Pick<RelayLimits, 'waiters' | 'pendingPerAddress' | 'waiterTimeoutMs'>
  readonly refusals: Refusals
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
  readonly #perAddress = new AddressCount()

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
      const { pendingPerAddress, waiters, waiterTimeoutMs } = this.#options.limits
      for (const visitor of batch) {
        if (waiting.length >= waiters) this.#refuse(visitor, 'ERR_POOL_FULL')
        else if (!this.#perAddress.take(hostOf(visitor), pendingPerAddress)) this.#refuse(visitor, 'ERR_ADDRESS_LIMIT')
        else waiting.push({ visitor, deadline: performance.now() + waiterTimeoutMs })
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
    const visitors = held.waiting.splice(0).map(({ visitor }) => visitor)
    for (const visitor of visitors) this.#perAddress.free(hostOf(visitor))
    serve(visitors)
    return held.listener
  }

  /** To be called about once a second, with the time of `performance.now()`. */
  tick(now: number): void {
    for (const [port, { listener, until, waiting }] of this.#ports) {
      while (waiting[0] !== undefined && (waiting[0].deadline <= now || until <= now)) {
        const { visitor } = waiting[0]
        waiting.shift()
        this.#perAddress.free(hostOf(visitor))
        this.#refuse(visitor, 'ERR_POOL_TIMEOUT')
      }
      if (until > now) continue
      this.#ports.delete(port)
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

  #refuse(visitor: Endpoint, code: ErrorCode): void {
    visitor.destroy('reset')
    const fields = { remote: formatAddress(originOf(visitor).remote) }
    this.#options.refusals.tell({ event: 'visitor.refused', level: 'warn', code, fields })
  }
}
