import type { RelaySettings } from '../config/relay-settings.ts'
import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { formatAddress } from '../net/address.ts'
import type { Logger } from '../observe/log.ts'
import { printable } from '../printable.ts'
import { writeMessage } from '../wire/codec.ts'
import { announcedRelease, protocolVersion } from '../wire/limits.ts'
import { type Auth, type Extension, negotiate } from '../wire/messages.ts'
import type { ControlRegistry } from './control-registry.ts'
import { ControlSession } from './control-session.ts'
import type { Registrar } from './registrar.ts'
import type { TokenBook } from './tokens.ts'

/** What a login works with. */
export interface LoginOptions {
  readonly settings: RelaySettings
  readonly tokens: TokenBook
  readonly sessions: ControlRegistry
  readonly registrar: Registrar
  readonly log: Logger
}

/** Lets agents in: turns an `Auth` into a control session, or says why not. */
export class Login {
  readonly #options: LoginOptions
  readonly #supported: readonly Extension[]
  #count = 0

  constructor(options: LoginOptions) {
    this.#options = options
    const plain = options.settings.allowPlain ? (['plain'] as const) : []
    this.#supported = ['ticket', ...plain, 'close', 'drain', 'ping2', 'tls', 'origin', 'terminate']
  }

  /** Takes the control connection over, whatever comes of it. */
  enter(endpoint: Endpoint, auth: Auth): void {
    const { tokens, sessions, settings, registrar, log } = this.#options
    if (auth.Version !== protocolVersion) {
      this.#refuse(endpoint, new MillraceError('ERR_AUTH_VERSION', JSON.stringify(printable(auth.Version))))
      return
    }
    const identity = tokens.identify(auth.User)
    if (identity === undefined) {
      this.#refuse(endpoint, new MillraceError('ERR_AUTH_TOKEN'))
      return
    }
    const { clientId, evicts } = sessions.admit(auth.ClientId, identity)
    if (evicts === undefined && sessions.size >= settings.limits.sessions) {
      // It may pass, and an Error would be final to a 1.x agent: it is to come back.
      endpoint.destroy()
      const error = new MillraceError('ERR_SESSION_LIMIT', `${settings.limits.sessions}`)
      log.warn('connection.refused', { remote: formatAddress(endpoint.remote), code: error.code, error: error.message })
      return
    }
    evicts?.close('evicted')
    const extensions = auth.Extensions === undefined ? undefined : this.#negotiate(auth.Extensions)
    this.#count++
    const session = new ControlSession({
      endpoint,
      clientId,
      identity,
      extensions,
      limits: settings.limits,
      registrar,
      log: log.child({ session: this.#count }),
      onClose: (closed) => sessions.remove(closed),
    })
    sessions.add(session)
    log.info('agent.connected', {
      session: this.#count,
      remote: formatAddress(endpoint.remote),
      agent: identity.name,
      os: printable(auth.OS),
      arch: printable(auth.Arch),
      extensions: extensions ?? [],
    })
    session.start()
  }

  /** Plain proxy connections are told from strangers by their tickets alone. */
  #negotiate(offered: readonly string[]): readonly Extension[] {
    const common = negotiate(offered, this.#supported)
    return common.includes('ticket') ? common : common.filter((name) => name !== 'plain')
  }

  #refuse(endpoint: Endpoint, error: MillraceError): void {
    writeMessage(endpoint, {
      type: 'AuthResp',
      Version: protocolVersion,
      MmVersion: announcedRelease,
      ClientId: '',
      Error: error.message,
    })
    endpoint.destroy()
    const remote = formatAddress(endpoint.remote)
    this.#options.log.warn('connection.refused', { remote, code: error.code, error: error.message })
  }
}
