import type { Tunnel, TunnelOwner, TunnelProtocol } from './tunnel.ts'

/** The live tunnels by public address, and the addresses that are being opened or closed. */
export class TunnelRegistry {
  readonly #tunnels = new Map<string, Tunnel>()
  /** Ports on which a listener is about to be opened. */
  readonly #opening = new Set<number>()
  /** Ports whose listeners are closing. */
  readonly #closing = new Map<number, Promise<void>>()

  /** Live tunnels. */
  get size(): number {
    return this.#tunnels.size
  }

  /** The tunnel that visitors of this host (http, https, tls) or port (tcp) want. */
  find(protocol: TunnelProtocol, address: string): Tunnel | undefined {
    return this.#tunnels.get(`${protocol} ${address}`)
  }

  /**
   * True when `owner` may have `protocols` on `host`. A host belongs to one agent as a whole: otherwise somebody else's
   * https tunnel would get the cookies of an http tunnel's visitors. And as one port serves https and tls by the same
   * name, it can have only one of them.
   */
  isHostFree(host: string, owner: TunnelOwner, protocols: readonly TunnelProtocol[]): boolean {
    const fronts = new Set(protocols.map(frontOf))
    for (const protocol of ['http', 'https', 'tls'] as const) {
      const tunnel = this.find(protocol, host)
      if (tunnel !== undefined && (tunnel.owner !== owner || fronts.has(frontOf(protocol)))) return false
    }
    return true
  }

  /** True while any tunnel has the host. */
  hasHost(host: string): boolean {
    return (['http', 'https', 'tls'] as const).some((protocol) => this.find(protocol, host) !== undefined)
  }

  /** True while a tunnel has the port or is about to get it. */
  isPortTaken(port: number): boolean {
    return this.#opening.has(port) || this.find('tcp', `${port}`) !== undefined
  }

  /** Runs `open` with the port marked as taken, after a closing listener has left it. Port 0 needs neither. */
  async whileOpening<T>(port: number, open: () => Promise<T>): Promise<T> {
    if (port === 0) return await open()
    this.#opening.add(port)
    try {
      await this.#closing.get(port)
      return await open()
    } finally {
      this.#opening.delete(port)
    }
  }

  /** Marks a port as being left until `closed` resolves. */
  leaving(port: number, closed: Promise<void>): void {
    const done = (): void => {
      if (this.#closing.get(port) === left) this.#closing.delete(port)
    }
    // Whether it closed well or not: whoever opens the port next finds out.
    const left = closed.then(done, done)
    this.#closing.set(port, left)
  }

  /** Adds a tunnel. Its address must be free. */
  add(tunnel: Tunnel): void {
    this.#tunnels.set(`${tunnel.protocol} ${tunnel.address}`, tunnel)
  }

  /** Removes a tunnel, unless another has taken its address. */
  remove(tunnel: Tunnel): void {
    const key = `${tunnel.protocol} ${tunnel.address}`
    if (this.#tunnels.get(key) === tunnel) this.#tunnels.delete(key)
  }
}

function frontOf(protocol: TunnelProtocol): TunnelProtocol {
  return protocol === 'tls' ? 'https' : protocol
}
