import { randomInt } from 'node:crypto'
import type { Endpoint, Listener } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import type { PortRange } from '../net/address.ts'
import type { Affinity } from './affinity.ts'
import { listenErrno } from './listen.ts'
import type { Reservations } from './reservations.ts'
import type { TunnelOwner } from './tunnel.ts'
import type { TunnelRegistry } from './tunnel-registry.ts'
import { tcpUrl } from './urls.ts'

/** What the opener goes by. */
export interface PortOpenerOptions {
  readonly domain: string
  /** The ports that tunnels may have; absent = any. */
  readonly range: PortRange | undefined
  readonly registry: TunnelRegistry
  readonly affinity: Affinity
  readonly reservations: Reservations
  readonly byToken: boolean
  /** Opens a listener. Rejects with ERR_LISTEN. */
  readonly listen: (port: number, onEndpoints: (batch: readonly Endpoint[]) => void) => Promise<Listener>
}

type OnEndpoints = (batch: readonly Endpoint[]) => void

/** Opens the listeners of TCP tunnels: on the port asked for, one that the agent had before, or any. */
export class PortOpener {
  readonly #options: PortOpenerOptions

  constructor(options: PortOpenerOptions) {
    this.#options = options
  }

  /**
   * `wanted` 0 is any port. Rejects with ERR_TUNNEL_PORT (out of range, or the system refuses it), ERR_TUNNEL_TAKEN,
   * ERR_TUNNEL_KEPT or ERR_TUNNEL_PORTS_USED.
   */
  async open(owner: TunnelOwner, wanted: number, onEndpoints: OnEndpoints): Promise<Listener> {
    if (wanted !== 0) {
      if (this.#inRange(wanted) && !owner.identity.mayUsePort(wanted)) {
        throw new MillraceError('ERR_TUNNEL_PORT', `${wanted} is not one that the token allows`)
      }
      if (!this.#mayHave(owner, wanted))
        throw new MillraceError('ERR_TUNNEL_KEPT', tcpUrl(this.#options.domain, wanted))
      return await this.#openExactly(wanted, onEndpoints)
    }
    for (const port of this.#options.affinity.recall(owner, 'port', this.#options.byToken)) {
      if (!owner.identity.mayUsePort(Number(port))) continue
      const listener = await this.#tryToOpen(owner, Number(port), onEndpoints)
      if (listener !== undefined) return listener
    }
    const ranges = this.#rangesOf(owner)
    if (ranges === undefined) return await this.#openAny(owner, onEndpoints)
    for (const { first, last } of ranges) {
      const size = last - first + 1
      const start = randomInt(size)
      for (let i = 0; i < size; i++) {
        const listener = await this.#tryToOpen(owner, first + ((start + i) % size), onEndpoints)
        if (listener !== undefined) return listener
      }
    }
    const text = ranges.map(({ first, last }) => `${first}-${last}`).join(', ')
    throw new MillraceError('ERR_TUNNEL_PORTS_USED', text === '' ? 'that the token allows' : text)
  }

  /** The ports that both the relay and the token allow; undefined = any. */
  #rangesOf({ identity: { tcpPorts } }: TunnelOwner): readonly PortRange[] | undefined {
    const { range } = this.#options
    if (tcpPorts === undefined || range === undefined) return tcpPorts ?? (range === undefined ? undefined : [range])
    return tcpPorts
      .map(({ first, last }) => ({ first: Math.max(first, range.first), last: Math.min(last, range.last) }))
      .filter(({ first, last }) => first <= last)
  }

  /** Whichever port the system gives, except those that are kept for others. */
  async #openAny(owner: TunnelOwner, onEndpoints: OnEndpoints): Promise<Listener> {
    const kept: Listener[] = []
    try {
      for (;;) {
        const listener = await this.#openExactly(0, onEndpoints)
        const { address } = listener
        if (address.family === 'unix' || this.#mayHave(owner, address.port)) return listener
        // Not closed before another is found: the system could give it again.
        kept.push(listener)
      }
    } finally {
      await Promise.all(kept.map((listener) => listener.close()))
    }
  }

  async #tryToOpen(owner: TunnelOwner, port: number, onEndpoints: OnEndpoints): Promise<Listener | undefined> {
    const { registry, listen } = this.#options
    if (!this.#inRange(port) || registry.isPortTaken(port) || !this.#mayHave(owner, port)) return undefined
    try {
      return await registry.whileOpening(port, () => listen(port, onEndpoints))
    } catch (error) {
      if (listenErrno(error) === '') throw error
      return undefined
    }
  }

  async #openExactly(port: number, onEndpoints: OnEndpoints): Promise<Listener> {
    const { registry, range, domain, listen } = this.#options
    if (port !== 0 && !this.#inRange(port)) {
      throw new MillraceError('ERR_TUNNEL_PORT', `${port} is outside of the range ${range?.first}-${range?.last}`)
    }
    if (port !== 0 && registry.isPortTaken(port)) throw new MillraceError('ERR_TUNNEL_TAKEN', tcpUrl(domain, port))
    try {
      return await registry.whileOpening(port, () => listen(port, onEndpoints))
    } catch (error) {
      const errno = listenErrno(error)
      if (errno === '') throw error
      const why = errno === 'EADDRINUSE' ? 'is in use' : `is not to be had (${errno})`
      throw new MillraceError('ERR_TUNNEL_PORT', `${port} ${why}`, { cause: error })
    }
  }

  #mayHave(owner: TunnelOwner, port: number): boolean {
    return this.#options.reservations.mayHave(owner, 'port', `${port}`)
  }

  #inRange(port: number): boolean {
    const { range } = this.#options
    return Number.isInteger(port) && port > 0 && (range === undefined || (port >= range.first && port <= range.last))
  }
}
