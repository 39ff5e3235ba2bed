import type { RelaySettings } from '../config/relay-settings.ts'
import type { Endpoint, Listener } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { AddressCount } from '../net/address-group.ts'
import { parseNetworks } from '../net/networks.ts'
import type { Logger } from '../observe/log.ts'
import { printable } from '../printable.ts'
import type { ReqTunnel } from '../wire/messages.ts'
import type { AccessLists } from './access.ts'
import type { Affinity, AffinityKind } from './affinity.ts'
import { HostChooser } from './host-chooser.ts'
import { PortOpener } from './port-opener.ts'
import type { Reservations } from './reservations.ts'
import type { ReturnQueue } from './return-queue.ts'
import { Tunnel, type TunnelOptions, type TunnelOwner, type TunnelProtocol, type VisitorCount } from './tunnel.ts'
import type { TunnelRegistry } from './tunnel-registry.ts'
import { type FrontPorts, frontPort, tcpUrl, tlsUrl, type WebProtocol, webUrl } from './urls.ts'

/** What the registrar works with. */
export interface RegistrarOptions {
  readonly settings: RelaySettings
  readonly ports: FrontPorts
  readonly registry: TunnelRegistry
  readonly affinity: Affinity
  readonly reservations: Reservations
  /** Visitors of addresses whose agents are expected back. */
  readonly returns: ReturnQueue
  /** True when agents with the same token may inherit each other's addresses: not on an open relay. */
  readonly byToken: boolean
  readonly log: Logger
  /** Opens a listener for a TCP tunnel. Rejects with ERR_LISTEN. */
  readonly listen: (port: number, onEndpoints: (batch: readonly Endpoint[]) => void) => Promise<Listener>
  /** Takes visitors of a TCP tunnel. */
  readonly serve: (tunnel: Tunnel, visitor: Endpoint) => void
}

type TunnelAddress = Pick<TunnelOptions, 'protocol' | 'url' | 'address' | 'asked' | 'terminates'>

const kindOf = (protocol: TunnelProtocol): AffinityKind => (protocol === 'tcp' ? 'port' : 'host')

const isWeb = (protocol: TunnelProtocol): boolean => protocol === 'http' || protocol === 'https'

/** The tunnel's own lists; undefined: it has none. */
function accessOf(owner: TunnelOwner, { Allow: allow = [], Deny: deny = [] }: ReqTunnel): AccessLists | undefined {
  return owner.knows('access') && allow.length + deny.length > 0 ? { allow, deny } : undefined
}

/** Gives tunnels their public addresses and takes them back. */
export class Registrar {
  readonly #options: RegistrarOptions
  readonly #hosts: HostChooser
  readonly #portOpener: PortOpener
  readonly #listeners = new Map<Tunnel, Listener>()
  readonly #visitors: VisitorCount

  constructor(options: RegistrarOptions) {
    this.#options = options
    const { settings, ports, registry, affinity, reservations, byToken, listen } = options
    this.#visitors = { now: 0, perAddress: new AddressCount(), limits: settings.limits }
    const shared = { domain: settings.domain, registry, affinity, reservations, byToken }
    this.#hosts = new HostChooser({ ...shared, ports })
    this.#portOpener = new PortOpener({
      ...shared,
      get range() {
        return settings.tcpPorts
      },
      listen,
    })
  }

  /**
   * Opens one tunnel for each protocol of a request and tells `onTunnel` of each. Rejects with ERR_TUNNEL_*, ERR_TOKEN_*, ERR_NETWORK, ERR_HOSTNAME
   * or ERR_POOL_CLOSED (the owner left meanwhile) at the first that can't be had; those before it stay.
   */
  async register(owner: TunnelOwner, request: ReqTunnel, onTunnel: (tunnel: Tunnel) => void): Promise<void> {
    const protocols = this.#protocols(owner, request.Protocol)
    // Before anything is opened for it.
    const networks = accessOf(owner, request)
    if (networks !== undefined) parseNetworks([...networks.allow, ...networks.deny])
    const web = protocols.filter((protocol) => protocol !== 'tcp')
    let host: string | undefined
    for (const protocol of protocols) {
      this.#checkRoom(owner)
      let tunnel: Tunnel
      owner.identity.takeTunnel()
      try {
        if (protocol === 'tcp') tunnel = await this.#openTcp(owner, request)
        else {
          host ??= this.#hosts.choose(owner, request, web)
          tunnel = this.#openWeb(owner, request, protocol, host)
        }
      } catch (error) {
        owner.identity.freeTunnel()
        throw error
      }
      this.#options.log.info('tunnel.up', { url: tunnel.url })
      onTunnel(tunnel)
    }
  }

  #checkRoom(owner: TunnelOwner): void {
    const { registry, settings } = this.#options
    const { tunnels, tunnelsPerSession } = settings.limits
    if (owner.tunnels.size >= tunnelsPerSession) throw new MillraceError('ERR_TUNNEL_LIMIT', `${tunnelsPerSession}`)
    if (registry.size >= tunnels) throw new MillraceError('ERR_RELAY_TUNNELS', `${tunnels}`)
  }

  /** Takes a tunnel's address back. Running joins go on. */
  release(tunnel: Tunnel, reason: string): void {
    const { registry, log } = this.#options
    if (!tunnel.owner.tunnels.delete(tunnel)) return
    tunnel.owner.identity.freeTunnel()
    registry.remove(tunnel)
    const listener = this.#listeners.get(tunnel)
    if (listener !== undefined) {
      this.#listeners.delete(tunnel)
      registry.leaving(Number(tunnel.address), listener.close())
    }
    this.#leave(tunnel, reason)
    log.info('tunnel.down', { url: tunnel.url, reason })
  }

  /** The listeners of TCP tunnels. */
  get listeners(): readonly Listener[] {
    return [...this.#listeners.values()]
  }

  /** Decides whether the address is kept for its owner. */
  #leave({ protocol, address, owner }: Tunnel, reason: string): void {
    const { byToken, registry, reservations } = this.#options
    const kind = kindOf(protocol)
    // Whoever had it when the relay stopped has the whole grace with the next one.
    if (reason === 'shutdown' || (kind === 'host' && registry.hasHost(address))) return
    // A 1.x agent that quits on an open relay comes back with another id: what it asked for is not to be kept from it.
    const quit = reason === 'ended' && !byToken && !owner.knows('close')
    if (reason === 'asked' || reason === 'revoked' || quit) reservations.free(kind, address)
    else reservations.keep(kind, address)
  }

  /** The protocols of a request that can be had here. http and https stand in for each other, as 1.x asks for both. */
  #protocols(owner: TunnelOwner, text: string): readonly TunnelProtocol[] {
    const asked = [...new Set(text.split('+'))]
    const known = asked.filter(
      (name): name is TunnelProtocol =>
        name === 'tcp' || name === 'http' || name === 'https' || (name === 'tls' && owner.knows('tls')),
    )
    // One port serves both by the same name.
    const both = known.includes('https') && known.includes('tls')
    if (known.length === 0 || known.length < asked.length || both) {
      throw new MillraceError('ERR_TUNNEL_PROTOCOL', JSON.stringify(printable(text)))
    }
    const { ports } = this.#options
    const allowed = known.filter((name) => owner.identity.mayUse(name))
    const forbidden = known.find((name) => !allowed.includes(name))
    if (forbidden !== undefined && (forbidden === 'tcp' || forbidden === 'tls' || !allowed.some(isWeb))) {
      throw new MillraceError('ERR_TOKEN_PROTOCOL', forbidden)
    }
    const available = allowed.filter((name) => name === 'tcp' || frontPort(ports, name) !== undefined)
    const [missing] = allowed.filter((name) => !available.includes(name))
    if (missing !== undefined && (missing === 'tls' || !available.some((name) => name !== 'tcp'))) {
      throw new MillraceError('ERR_TUNNEL_FRONT', missing)
    }
    return available
  }

  #openWeb(owner: TunnelOwner, request: ReqTunnel, protocol: WebProtocol, host: string): Tunnel {
    const url = webUrl(protocol, host, frontPort(this.#options.ports, protocol) ?? 0)
    const asked = request.Hostname !== '' || request.Subdomain !== ''
    const tunnel = this.#make(owner, request, { protocol, url, address: host, asked })
    // Only what we chose: who once asked for a name by itself doesn't expect it again without asking.
    if (!asked) this.#remember(owner, 'host', host)
    return tunnel
  }

  async #openTcp(owner: TunnelOwner, request: ReqTunnel): Promise<Tunnel> {
    let tunnel: Tunnel | undefined
    // Visitors may come before we know that the port is ours.
    const early: Endpoint[] = []
    const listener = await this.#portOpener.open(owner, request.RemotePort, (batch) => {
      if (tunnel === undefined) early.push(...batch)
      else for (const visitor of batch) this.#options.serve(tunnel, visitor)
    })
    const { address } = listener
    const port = address.family === 'unix' ? 0 : address.port
    // Session and permissions may have ended while the port was opened.
    const allowed = owner.identity.permits({ protocol: 'tcp', address: `${port}`, asked: false })
    if (owner.closed || !allowed) {
      this.#options.registry.leaving(port, listener.close())
      for (const visitor of early) visitor.destroy('reset')
      if (owner.closed) throw new MillraceError('ERR_POOL_CLOSED')
      throw new MillraceError('ERR_TUNNEL_PORT', `${port} is not one that the token allows`)
    }
    const terminates = owner.knows('terminate') && request.Terminate === true
    const url = (terminates ? tlsUrl : tcpUrl)(this.#options.settings.domain, port)
    tunnel = this.#make(owner, request, { protocol: 'tcp', url, address: `${port}`, terminates })
    this.#listeners.set(tunnel, listener)
    if (request.RemotePort === 0) this.#remember(owner, 'port', `${port}`)
    for (const visitor of early) this.#options.serve(tunnel, visitor)
    return tunnel
  }

  #make(owner: TunnelOwner, request: ReqTunnel, what: TunnelAddress): Tunnel {
    const passthrough = what.protocol === 'tls' && request.Encrypt === false && owner.knows('passthrough')
    const networks = accessOf(owner, request)
    const tunnel = new Tunnel({
      ...what,
      owner,
      ...(networks === undefined ? {} : { networks }),
      httpAuth: what.protocol === 'http' || what.protocol === 'https' ? request.HttpAuth : '',
      plainAllowed: passthrough || (owner.knows('plain') && request.Encrypt === false),
      passthrough,
      limits: this.#options.settings.limits,
      all: this.#visitors,
    })
    this.#options.registry.add(tunnel)
    owner.tunnels.add(tunnel)
    this.#options.reservations.occupy(owner, kindOf(what.protocol), what.address)
    this.#options.returns.arrived(tunnel)
    return tunnel
  }

  #remember(owner: TunnelOwner, kind: 'host' | 'port', address: string): void {
    this.#options.affinity.remember(owner, kind, address, this.#options.byToken)
  }
}
