import { MillraceError } from '../../errors.ts'
import { TlsCache } from '../tls-cache.ts'
import { protocolList, readPins } from '../tls-options.ts'
import type { TlsOptions, TlsTrust } from '../types.ts'
import type { Addon, TlsContextHandle } from './addon.ts'
import { systemRoots } from './system-roots.ts'
import { TicketKeys } from './ticket-keys.ts'

/** TlsTrust::Kind in native/engine/tls_context.h. */
const trustKinds: Readonly<Record<TlsTrust['kind'], number>> = { system: 0, ca: 0, pin: 1, none: 2 }

/** The engine's TLS contexts of this environment. A client's holds the sessions that can be used again. */
export class TlsContexts {
  readonly #addon: Addon
  readonly #keys: TicketKeys
  readonly #contexts = new TlsCache((options) => ({ handle: this.#make(options) }))

  constructor(addon: Addon) {
    this.#addon = addon
    this.#keys = new TicketKeys(addon)
  }

  /** For checked options. Throws ERR_TLS when a certificate, a key or a list of roots can't be used. */
  of(options: TlsOptions): TlsContextHandle {
    if (options.role === 'server') this.#keys.rotate(performance.now())
    return this.#contexts.of(options).handle
  }

  #make(options: TlsOptions): TlsContextHandle {
    const made = options.role === 'server' ? this.#server(options) : this.#client(options)
    if (typeof made === 'string') throw new MillraceError('ERR_TLS', made)
    return made
  }

  #server(options: Extract<TlsOptions, { role: 'server' }>): TlsContextHandle | string {
    const { cert, key, alpn = [], minVersion, front = '' } = options
    return this.#addon.tlsServer(cert, key, protocolList(alpn), minVersion === 'TLSv1.3', front, this.#keys.handle)
  }

  #client(options: Extract<TlsOptions, { role: 'client' }>): TlsContextHandle | string {
    const { trust, alpn = [], minVersion } = options
    const roots = trust.kind === 'system' ? systemRoots() : trust.kind === 'ca' ? trust.pem : ''
    const pins = trust.kind === 'pin' ? Buffer.concat(readPins(trust.sha256)) : Buffer.alloc(0)
    const kind = trustKinds[trust.kind]
    return this.#addon.tlsClient(kind, roots, pins, protocolList(alpn), minVersion === 'TLSv1.3')
  }
}
