import type { Address } from '../dataplane/types.ts'
import { type Networks, parseNetworks } from '../net/networks.ts'

/** Whom the relay, or a tunnel, lets come near it: networks in CIDR notation. */
export interface AccessLists {
  /** Empty: all. */
  readonly allow: readonly string[]
  /** Whatever `allow` says. */
  readonly deny: readonly string[]
}

/** Judges addresses by such lists, which may change. Peers of unix sockets are this machine's own. */
export class Access {
  readonly #settings: AccessLists
  #allow: readonly string[] = []
  #deny: readonly string[] = []
  #allowed: Networks | undefined
  #denied: Networks | undefined

  /** Throws ERR_NETWORK. */
  constructor(settings: AccessLists) {
    this.#settings = settings
    this.#look()
  }

  /** True while everybody may come. */
  get open(): boolean {
    this.#look()
    return this.#allowed === undefined && this.#denied === undefined
  }

  /** Whether this address may come: none of `deny`, and where there is an `allow`, one of it. */
  permits(address: Address): boolean {
    this.#look()
    if (address.family === 'unix') return true
    if (this.#denied?.has(address.host) === true) return false
    return this.#allowed === undefined || this.#allowed.has(address.host)
  }

  #look(): void {
    const { allow, deny } = this.#settings
    if (allow !== this.#allow) this.#allowed = networksOf(allow)
    if (deny !== this.#deny) this.#denied = networksOf(deny)
    this.#allow = allow
    this.#deny = deny
  }
}

function networksOf(texts: readonly string[]): Networks | undefined {
  return texts.length === 0 ? undefined : parseNetworks(texts)
}
