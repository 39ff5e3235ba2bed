import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import type { RelayLimits } from '../limits/relay.ts'
import { formatAddress } from '../net/address.ts'
import type { AddressCount } from '../net/address-group.ts'
import { newReqId } from '../wire/ids.ts'
import type { Extension, StartProxy } from '../wire/messages.ts'
import { Access, type AccessLists } from './access.ts'
import type { AffinityOwner } from './affinity.ts'
import type { Carriers, OnCarrier, Passenger, Waiter } from './carriers.ts'
import { hostOf, originOf } from './origin.ts'
import type { TokenAccount } from './token-account.ts'

/** What visitors speak. */
export type TunnelProtocol = 'tcp' | 'http' | 'https' | 'tls'

/** Whose tunnels they are: an agent's control session. */
export interface TunnelOwner extends AffinityOwner {
  /** What its token allows. */
  readonly identity: TokenAccount
  readonly pool: Carriers
  /** Of plain proxy connections, for tunnels that are passed through (extension `passthrough`). Made on first use. */
  readonly plainPool: Carriers
  readonly tunnels: Set<Tunnel>
  /** Set once the session has ended: nothing may be registered for it any more. */
  readonly closed: boolean
  /** The extension was negotiated with the agent. */
  knows(extension: Extension): boolean
}

/** The visitors of all tunnels of a relay together. */
export interface VisitorCount {
  /** That wait or are joined. */
  now: number
  /** Of these, those of each address. */
  readonly perAddress: AddressCount
  /** How many there may be, and of each address; may change. Beyond: ERR_RELAY_FULL, ERR_ADDRESS_JOINS. */
  readonly limits: Pick<RelayLimits, 'joins' | 'joinsPerAddress'>
}

/** What makes a tunnel. */
export interface TunnelOptions {
  readonly owner: TunnelOwner
  readonly protocol: TunnelProtocol
  /** The public address as announced. */
  readonly url: string
  /** The host name (http, https, tls; lower case) or the port (tcp) that visitors use. */
  readonly address: string
  /** The agent asked for the host name by itself. Default false. */
  readonly asked?: boolean
  /** `user:pass` asked of HTTP visitors, '' = none. A secret. */
  readonly httpAuth: string
  /** Proxy connections of this tunnel may be plain TCP. */
  readonly plainAllowed: boolean
  /** Its proxy connections come from its owner's `plainPool`. Default false. */
  readonly passthrough?: boolean
  /** Visitors of this TCP tunnel speak TLS with the relay. Default false. */
  readonly terminates?: boolean
  /** How many visitors it may have at once; may change. Beyond: ERR_JOIN_LIMIT. */
  readonly limits: Pick<RelayLimits, 'joinsPerTunnel'>
  /** The relay's count, which this tunnel's visitors are part of. */
  readonly all: VisitorCount
  /** The networks that its visitors may come from. Default all. */
  readonly networks?: AccessLists
}

/** One public address bound to one agent. Whatever is decided for each visitor alike is decided here. */
export class Tunnel {
  readonly owner: TunnelOwner
  readonly protocol: TunnelProtocol
  readonly url: string
  readonly address: string
  readonly asked: boolean
  readonly httpAuth: string
  readonly plainAllowed: boolean
  readonly terminates: boolean
  readonly #limits: TunnelOptions['limits']
  readonly #all: VisitorCount
  readonly #pool: Carriers
  readonly #access: Access | undefined
  #visitors = 0

  constructor(options: TunnelOptions) {
    this.owner = options.owner
    this.protocol = options.protocol
    this.url = options.url
    this.address = options.address
    this.asked = options.asked ?? false
    this.httpAuth = options.httpAuth
    this.plainAllowed = options.plainAllowed
    this.terminates = options.terminates ?? false
    this.#limits = options.limits
    this.#all = options.all
    this.#access = options.networks === undefined ? undefined : new Access(options.networks)
    this.#pool = options.passthrough === true ? options.owner.plainPool : options.owner.pool
  }

  /** Visitors that wait or are joined. */
  get visitors(): number {
    return this.#visitors
  }

  /**
   * False when its own lists keep the visitor out (ERR_TUNNEL_DENIED), who is judged by what a trusted balancer said of it,
   * if one did. To be asked before anything is done for a visitor.
   */
  welcomes(visitor: Endpoint): boolean {
    return this.#access === undefined || this.#access.permits(originOf(visitor).remote)
  }

  /** What {@link admit} and {@link move} need of a visitor. The agent is told the same of it by each carrier. */
  passenger(visitor: Endpoint): Passenger {
    return new TunnelPassenger(this, visitor)
  }

  /**
   * Gets a visitor a proxy connection on which StartProxy has been written. `onCarrier` is called once, perhaps before
   * this returns: with the connection, and then {@link release} must follow once the visitor is done; or with the
   * reason why there is none (ERR_JOIN_LIMIT, ERR_RELAY_FULL, ERR_ADDRESS_JOINS, ERR_TOKEN_CONNECTIONS, ERR_POOL_*). The waiter, if any, is for {@link cancel}.
   */
  admit(visitor: Endpoint, passenger: Passenger, onCarrier: OnCarrier): Waiter | undefined {
    const problem = this.#take(visitor)
    if (problem !== undefined) {
      onCarrier(problem)
      return undefined
    }
    return this.#pool.carry(passenger, (carrier) => {
      if (carrier instanceof MillraceError) this.release(visitor)
      onCarrier(carrier)
    })
  }

  /**
   * The same for a visitor who has its place already, and whose lane was lost before it took anything of the visitor. It
   * keeps the place, whatever `onCarrier` gets.
   */
  move(passenger: Passenger, onCarrier: OnCarrier): Waiter | undefined {
    return this.#pool.carry(passenger, onCarrier)
  }

  /** The visitor left while it was waiting: its `onCarrier` won't be called. */
  cancel(waiter: Waiter, visitor: Endpoint): void {
    this.#pool.cancel(waiter)
    this.release(visitor)
  }

  /** An admitted visitor is done. */
  release(visitor: Endpoint): void {
    this.#visitors--
    this.#all.now--
    this.#all.perAddress.free(hostOf(visitor))
    this.owner.identity.freeVisitor()
  }

  /** Takes a visitor's place everywhere that it needs one; returns why there is none. */
  #take(visitor: Endpoint): MillraceError | undefined {
    const { limits, now, perAddress } = this.#all
    const { joins, joinsPerAddress } = limits
    const { joinsPerTunnel } = this.#limits
    if (this.#visitors >= joinsPerTunnel) return new MillraceError('ERR_JOIN_LIMIT', `${joinsPerTunnel}`)
    if (now >= joins) return new MillraceError('ERR_RELAY_FULL', `${joins}`)
    const host = hostOf(visitor)
    if (!perAddress.take(host, joinsPerAddress)) return new MillraceError('ERR_ADDRESS_JOINS', `${joinsPerAddress}`)
    const full = this.owner.identity.takeVisitor()
    if (full !== undefined) {
      perAddress.free(host)
      return full
    }
    this.#visitors++
    this.#all.now++
    return undefined
  }

  /** What the agent is told of a visitor; `id` is that of its join. */
  startProxy(visitor: Endpoint, id: string): StartProxy {
    const { local, remote } = originOf(visitor)
    const [type, Url, ClientAddr] = ['StartProxy', this.url, formatAddress(remote)] as const
    if (!this.owner.knows('origin')) return { type, Url, ClientAddr }
    return { type, Url, ClientAddr, ServerAddr: formatAddress(local), Proto: this.protocol, Id: id }
  }
}

/** Keeps no more of what the agent is told than cannot be made again: it lasts as long as the visitor. */
class TunnelPassenger implements Passenger {
  readonly #tunnel: Tunnel
  readonly #visitor: Endpoint
  readonly #id = newReqId()

  constructor(tunnel: Tunnel, visitor: Endpoint) {
    this.#tunnel = tunnel
    this.#visitor = visitor
  }

  get plainAllowed(): boolean {
    return this.#tunnel.plainAllowed
  }

  start(): StartProxy {
    return this.#tunnel.startProxy(this.#visitor, this.#id)
  }
}
