import type { RelaySettings } from '../config/relay-settings.ts'
import type { Address, DataPlane, Endpoint, InheritedSocket, Listener } from '../dataplane/types.ts'
import { formatAddress, formatHostPort, type HostPort } from '../net/address.ts'
import type { Logger } from '../observe/log.ts'
import { type Inheritance, inheritedFor, isElsewhere, type RelayRole } from './inheritance.ts'
import { explainListenError, listenOn } from './listen.ts'

type OnEndpoints = (batch: readonly Endpoint[]) => void

/** What listeners are opened with. */
export interface RelayListenersOptions {
  readonly dataPlane: DataPlane
  readonly log: Logger
  /** Where to listen; a role without an address has no listener. */
  readonly addresses: ReadonlyMap<RelayRole, HostPort>
  readonly inheritance: Inheritance | undefined
}

/** Where settings want it to listen, in the order in which it begins to. */
export function listenAddresses(settings: RelaySettings): ReadonlyMap<RelayRole, HostPort> {
  const { httpAddr, httpsAddr, tunnelAddr } = settings
  const addresses = new Map<RelayRole, HostPort>()
  if (httpAddr !== undefined) addresses.set('http', httpAddr)
  if (httpsAddr !== undefined) addresses.set('https', httpsAddr)
  return addresses.set('tunnel', tunnelAddr)
}

/** What the relay listens on, by what for. Who comes while nobody serves a role is reset. */
export class RelayListeners {
  readonly #options: RelayListenersOptions
  readonly #inherited = new Map<RelayRole, InheritedSocket>()
  readonly #listeners = new Map<RelayRole, Listener>()
  readonly #serving = new Map<RelayRole, OnEndpoints>()

  /** Closes what was inherited for an address that is another by now. */
  constructor(options: RelayListenersOptions) {
    this.#options = options
    for (const [role, address] of options.addresses) {
      const socket = inheritedFor(options.inheritance, role, address)
      if (socket === undefined) continue
      this.#inherited.set(role, socket)
      if (options.inheritance?.shared !== true || !isElsewhere(socket, address)) continue
      const fields = {
        role,
        wanted: formatHostPort(address.host, address.port),
        address: formatAddress(socket.address),
      }
      options.log.warn('relay.address-kept', fields, 'the new one is taken by a restart')
    }
  }

  /** Those that are open. */
  get all(): ReadonlyMap<RelayRole, Listener> {
    return this.#listeners
  }

  /**
   * Binds what is not inherited, ahead of {@link open}. For a successor: what it can't have must be known before it serves
   * anybody on the sockets that it shares. Rejects with ERR_LISTEN.
   */
  async reserve(): Promise<void> {
    for (const role of this.#options.addresses.keys()) if (!this.#inherited.has(role)) await this.#listen(role)
  }

  /** Whether the settings have an address for it. */
  has(role: RelayRole): boolean {
    return this.#options.addresses.has(role)
  }

  /** Serves a role, which must have an address, from now on. Rejects with ERR_LISTEN. */
  async open(role: RelayRole, serve: OnEndpoints): Promise<Address> {
    this.#serving.set(role, serve)
    const { address } = this.#listeners.get(role) ?? (await this.#listen(role))
    this.#options.log.info('relay.listening', { role, address: formatAddress(address) })
    return address
  }

  /** Nobody is served any more. */
  shut(): void {
    this.#serving.clear()
  }

  async #listen(role: RelayRole): Promise<Listener> {
    const { addresses, dataPlane } = this.#options
    const address = addresses.get(role)
    if (address === undefined) throw new TypeError(`no address for ${role}`)
    const deliver: OnEndpoints = (batch) => {
      const serve = this.#serving.get(role)
      if (serve !== undefined) serve(batch)
      else for (const endpoint of batch) endpoint.destroy('reset')
    }
    const inherited = this.#inherited.get(role)
    try {
      const listener = await (inherited === undefined
        ? listenOn(dataPlane, address, deliver)
        : dataPlane.listen(inherited, {}, deliver))
      this.#listeners.set(role, listener)
      return listener
    } catch (error) {
      throw explainListenError(error, address, `--${role}-addr`)
    }
  }
}
