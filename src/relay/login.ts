import type { RelaySettings } from '../config/relay-settings.ts'
import type { DataPlane, Endpoint } from '../dataplane/types.ts'
import { type ErrorCode, MillraceError } from '../errors.ts'
import { formatAddress } from '../net/address.ts'
import { AddressCount } from '../net/address-group.ts'
import type { Logger } from '../observe/log.ts'
import type { Refusals } from '../observe/refusals.ts'
import { printable } from '../printable.ts'
import { writeMessage } from '../wire/codec.ts'
import { protocolVersion } from '../wire/limits.ts'
import { type Auth, type Extension, negotiate } from '../wire/messages.ts'
import { plainExtensions, plainOf } from '../wire/plain.ts'
import { refusal } from './auth-answer.ts'
import type { ControlRegistry } from './control-registry.ts'
import { ControlSession } from './control-session.ts'
import { hostOf } from './origin.ts'
import type { Registrar } from './registrar.ts'
import { LoginBackoff } from './token-backoff.ts'
import type { TokenBook } from './tokens.ts'

/** What a login works with. */
export interface LoginOptions {
  readonly dataPlane: DataPlane
  readonly settings: RelaySettings
  readonly tokens: TokenBook
  readonly sessions: ControlRegistry
  readonly registrar: Registrar
  readonly log: Logger
  readonly refusals: Refusals
}

/** What the log says besides the error. */
interface Details {
  /** The real reason, where the agent is told another one. */
  readonly code?: ErrorCode | undefined
  /** Whose token it is. */
  readonly agent?: string
}

const always: readonly Extension[] = ['close', 'drain', 'ping2', 'tls', 'origin', 'terminate', 'access']

/** Lets agents in: turns an `Auth` into a control session, or says why not. */
export class Login {
  readonly #options: LoginOptions
  readonly #backoff: LoginBackoff
  readonly #perAddress = new AddressCount()
  #count = 0
  #closed = false

  constructor(options: LoginOptions) {
    this.#options = options
    const { settings } = options
    this.#backoff = new LoginBackoff({
      get failures() {
        return settings.limits.loginFailures
      },
      get addresses() {
        return settings.limits.loginAddresses
      },
    })
  }

  /** Lets nobody in any more: who comes is to come back later. */
  close(): void {
    this.#closed = true
  }

  /** Takes the control connection over, whatever comes of it; true when that is a session. */
  enter(endpoint: Endpoint, auth: Auth): boolean {
    const { dataPlane, tokens, sessions, settings, registrar, log, refusals } = this.#options
    if (this.#closed) {
      endpoint.destroy()
      return false
    }
    if (auth.Version !== protocolVersion) {
      this.#refuse(endpoint, new MillraceError('ERR_AUTH_VERSION', JSON.stringify(printable(auth.Version))))
      return false
    }
    const now = performance.now()
    const { remote } = endpoint
    const host = hostOf(endpoint)
    const waitMs = this.#backoff.waitMs(host, now)
    if (waitMs > 0) {
      // Before the token is looked at: otherwise guessing would go on.
      this.#dismiss(endpoint, new MillraceError('ERR_LOGIN_BACKOFF', `${Math.ceil(waitMs / 1000)}`))
      return false
    }
    const identity = tokens.identify(auth.User)
    const problem = identity === undefined ? 'ERR_AUTH_TOKEN' : identity.problem(Date.now(), remote)
    if (identity === undefined || problem !== undefined) {
      this.#backoff.failed(host, now)
      this.#refuse(endpoint, new MillraceError('ERR_AUTH_TOKEN'), {
        code: problem,
        ...(identity === undefined ? {} : { agent: identity.name }),
      })
      return false
    }
    const { clientId, evicts } = sessions.admit(auth.ClientId, identity)
    try {
      identity.checkSessions(evicts !== undefined)
      if (evicts === undefined && sessions.size >= settings.limits.sessions) {
        throw new MillraceError('ERR_SESSION_LIMIT', `${settings.limits.sessions}`)
      }
      this.#checkAddress(host, evicts)
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      this.#dismiss(endpoint, error, { agent: identity.name })
      return false
    }
    evicts?.close('evicted')
    const extensions = auth.Extensions === undefined ? undefined : this.#negotiate(auth.Extensions)
    this.#count++
    const session = new ControlSession({
      dataPlane,
      endpoint,
      clientId,
      identity,
      extensions,
      limits: settings.limits,
      registrar,
      log: log.child({ session: this.#count }),
      refusals,
      onClose: (closed) => {
        sessions.remove(closed)
        this.#perAddress.free(host)
      },
    })
    sessions.add(session)
    log.info('agent.connected', {
      audit: 'login',
      session: this.#count,
      remote: formatAddress(endpoint.remote),
      agent: identity.name,
      os: printable(auth.OS),
      arch: printable(auth.Arch),
      extensions: extensions ?? [],
    })
    session.start()
    return true
  }

  /** Takes the place of a session of this address. Throws ERR_ADDRESS_SESSIONS. */
  #checkAddress(host: string, evicts: ControlSession | undefined): void {
    const { sessionsPerAddress } = this.#options.settings.limits
    const leaves = evicts !== undefined && evicts.host === host ? 1 : 0
    if (this.#perAddress.take(host, sessionsPerAddress + leaves)) return
    throw new MillraceError('ERR_ADDRESS_SESSIONS', `${sessionsPerAddress}`)
  }

  #negotiate(offered: readonly string[]): readonly Extension[] {
    const { dataPlane, settings } = this.#options
    const ours: readonly Extension[] = dataPlane.hasLanes && settings.lanes ? ['lane'] : []
    const common = negotiate(offered, ['ticket', ...plainExtensions(settings.allowPlain), ...always, ...ours])
    const plain = plainOf(new Set(common))
    // What holds for all tunnels holds for those that are passed through.
    const dropped: string[] = plain === true ? ['passthrough'] : plain === 'passthrough' ? [] : ['plain', 'passthrough']
    if (!common.includes('ticket')) dropped.push('lane')
    return common.filter((name) => !dropped.includes(name))
  }

  /** It may pass, and an Error would be final to a 1.x agent: it is to come back. */
  #dismiss(endpoint: Endpoint, error: MillraceError, more: Details = {}): void {
    endpoint.destroy()
    this.#tell(endpoint, error, more)
  }

  /** `more` is for the log alone: the agent learns nothing of a token that it may not use. */
  #refuse(endpoint: Endpoint, error: MillraceError, more: Details = {}): void {
    writeMessage(endpoint, refusal(error.message))
    endpoint.destroy()
    this.#tell(endpoint, error, more)
  }

  #tell(endpoint: Endpoint, error: MillraceError, more: Details): void {
    const remote = formatAddress(endpoint.remote)
    const { agent = '', code = error.code, ...rest } = more
    const fields = { audit: 'refused', remote, error: error.message, ...rest, ...(agent === '' ? {} : { agent }) }
    this.#options.refusals.tell({ event: 'connection.refused', level: 'warn', code, fields, subject: agent })
  }
}
