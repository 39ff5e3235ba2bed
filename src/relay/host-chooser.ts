import { MillraceError } from '../errors.ts'
import { validateHostname } from '../net/address.ts'
import type { ReqTunnel } from '../wire/messages.ts'
import type { Affinity } from './affinity.ts'
import { randomName } from './names.ts'
import type { Reservations } from './reservations.ts'
import type { TunnelOwner } from './tunnel.ts'
import type { TunnelRegistry } from './tunnel-registry.ts'
import { type FrontPorts, frontPort, type WebProtocol, webUrl } from './urls.ts'

/** What the chooser goes by. */
export interface HostChooserOptions {
  readonly domain: string
  readonly ports: FrontPorts
  readonly registry: TunnelRegistry
  readonly affinity: Affinity
  readonly reservations: Reservations
  readonly byToken: boolean
}

/** Chooses the host name of web tunnels: the one asked for, one that the agent had before, or a random one. */
export class HostChooser {
  readonly #options: HostChooserOptions

  constructor(options: HostChooserOptions) {
    this.#options = options
  }

  /**
   * A host that `owner` may have for all of `protocols` (one at least). Throws ERR_HOSTNAME for a name that is none,
   * ERR_TUNNEL_HOST (the token doesn't allow it), ERR_TUNNEL_TAKEN,
   * ERR_TUNNEL_KEPT.
   */
  choose(owner: TunnelOwner, request: ReqTunnel, protocols: readonly WebProtocol[]): string {
    const { registry, reservations } = this.#options
    const isFree = (host: string): boolean =>
      registry.isHostFree(host, owner, protocols) && reservations.mayHave(owner, 'host', host)
    const asked = this.#asked(request)
    if (asked !== undefined) {
      if (!owner.identity.mayHave(asked)) throw new MillraceError('ERR_TUNNEL_HOST', asked)
      if (isFree(asked)) return asked
      const scheme = protocols[0] ?? 'http'
      const code = reservations.mayHave(owner, 'host', asked) ? 'ERR_TUNNEL_TAKEN' : 'ERR_TUNNEL_KEPT'
      throw new MillraceError(code, webUrl(scheme, asked, frontPort(this.#options.ports, scheme) ?? 0))
    }
    const remembered = this.#options.affinity.recall(owner, 'host', this.#options.byToken)
    for (const host of remembered) {
      // The relay's domain may have changed since.
      if (!host.endsWith(`.${this.#options.domain}`)) continue
      if (isFree(host)) return host
    }
    for (;;) {
      const host = `${randomName()}.${this.#options.domain}`
      if (isFree(host)) return host
    }
  }

  #asked({ Hostname, Subdomain }: ReqTunnel): string | undefined {
    if (Hostname !== '') return validateHostname(Hostname)
    if (Subdomain !== '') return validateHostname(`${Subdomain}.${this.#options.domain}`)
    return undefined
  }
}
