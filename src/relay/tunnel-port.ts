import type { DataPlane, Endpoint, TlsOptions, TlsVersion } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import type { RelayLimits } from '../limits/relay.ts'
import { formatAddress } from '../net/address.ts'
import { AddressCount } from '../net/address-group.ts'
import { AddressRate } from '../net/address-rate.ts'
import type { Refusals } from '../observe/refusals.ts'
import { readMessage } from '../wire/codec.ts'
import { firstMessageMs, maxFrameBeforeAuth } from '../wire/limits.ts'
import type { RegProxy } from '../wire/messages.ts'
import type { Plain } from '../wire/plain.ts'
import { looksLikeTls, sniffBytes } from '../wire/sniff.ts'
import type { Access } from './access.ts'
import type { Certificate } from './certificates.ts'
import type { ControlRegistry } from './control-registry.ts'
import type { Login } from './login.ts'
import { hostOf } from './origin.ts'

/** What the tunnel port works with. */
export interface TunnelPortOptions {
  readonly dataPlane: DataPlane
  /** The certificate of now; the same object as long as it doesn't change. */
  readonly certificate: () => Certificate
  /** The oldest TLS that agents may speak. Default TLSv1.2. */
  readonly minVersion?: TlsVersion
  readonly login: Login
  readonly sessions: ControlRegistry
  /** As they are at each connection. `handshakes`: those whose first message has not come. */
  readonly limits: Pick<RelayLimits, 'handshakes' | 'handshakesPerAddress' | 'failedHandshakeRate' | 'rateAddresses'>
  readonly access: Access
  readonly allowPlain: Plain
  readonly refusals: Refusals
  /** From accept to the end of the first message, TLS included, ms. Default that of the protocol, 10 s. */
  readonly firstMessageMs?: number
}

/**
 * So many seconds' worth of connections of one address may come to nothing at once. An agent that was cut off comes back
 * with tickets that are worth nothing any more.
 */
const failureBurstSeconds = 20

/** So many steps is the time for a first message divided into, for the handshake's limit. */
const steps = 10

/** Accepts agents' connections and finds out what each is for. */
export class TunnelPort {
  readonly #options: TunnelPortOptions
  readonly #timeMs: number
  /**
   * TLS settings by the steps that are left. A handshake's time limit is fixed in its settings object, and contexts are
   * cached by that, so there are a few of them; nearly all connections use the first.
   */
  readonly #tls = new Map<number, TlsOptions>()
  /** Whose settings these are. */
  #certificate: Certificate | undefined
  #handshakes = 0
  readonly #perAddress = new AddressCount()
  readonly #failures: AddressRate

  constructor(options: TunnelPortOptions) {
    this.#options = options
    const { limits } = options
    this.#failures = new AddressRate(failureBurstSeconds, {
      get perSecond() {
        return limits.failedHandshakeRate
      },
      get addresses() {
        return limits.rateAddresses
      },
    })
    this.#timeMs = options.firstMessageMs ?? firstMessageMs
  }

  /** Connections whose first message has not come. */
  get handshakes(): number {
    return this.#handshakes
  }

  /** Takes a connection over. Never throws. */
  serve(endpoint: Endpoint): void {
    const problem = this.#problem(endpoint)
    if (problem !== undefined) {
      endpoint.destroy('reset')
      this.#refused(endpoint, problem)
      return
    }
    this.#handshakes++
    void this.#greet(endpoint)
      .catch((error: unknown) => {
        this.#refused(endpoint, error)
        // An agent whose visitors have left meanwhile brings more than its pool needs, and must not be kept out for it.
        return error instanceof MillraceError && error.code === 'ERR_POOL_LIMIT'
      })
      .then((useful) => {
        if (!useful) this.#failures.take(hostOf(endpoint), performance.now())
        this.#handshakes--
        this.#perAddress.free(hostOf(endpoint))
      })
  }

  /** Why a connection is not even listened to. Without a reason it is counted. */
  #problem(endpoint: Endpoint): MillraceError | undefined {
    const { access, limits } = this.#options
    if (!access.permits(endpoint.remote)) return new MillraceError('ERR_ADDRESS_DENIED')
    if (!this.#failures.may(hostOf(endpoint), performance.now())) {
      return new MillraceError('ERR_CONNECTION_RATE', `${limits.failedHandshakeRate}`)
    }
    const { handshakes, handshakesPerAddress } = limits
    if (this.#handshakes >= handshakes) return new MillraceError('ERR_HANDSHAKE_LIMIT', `${handshakes}`)
    if (this.#perAddress.take(hostOf(endpoint), handshakesPerAddress)) return undefined
    return new MillraceError('ERR_ADDRESS_LIMIT', `${handshakesPerAddress}`)
  }

  /** False when the connection came to nothing, and was not worth an error. */
  async #greet(socket: Endpoint): Promise<boolean> {
    const { dataPlane } = this.#options
    const due = performance.now() + this.#timeMs
    let endpoint = socket
    try {
      const start = await socket.peek(sniffBytes, this.#timeMs)
      // A health check, or a scanner: it came and left without a word.
      if (start.length === 0) {
        socket.destroy()
        return false
      }
      if (looksLikeTls(start)) endpoint = await dataPlane.secure(socket, this.#tlsFor(due - performance.now()))
      const left = Math.max(1, due - performance.now())
      const message = await readMessage(endpoint, maxFrameBeforeAuth, left)
      if (message.type === 'RegProxy') {
        this.#proxy(endpoint, message)
        return true
      }
      if (message.type === 'Auth' && endpoint.encrypted) return this.#options.login.enter(endpoint, message)
      throw new MillraceError('ERR_FIRST_MESSAGE', message.type === 'unknown' ? message.name : message.type)
    } catch (error) {
      endpoint.destroy()
      throw error
    }
  }

  #tlsFor(leftMs: number): TlsOptions {
    const certificate = this.#options.certificate()
    if (certificate !== this.#certificate) this.#tls.clear()
    this.#certificate = certificate
    const step = Math.max(1, Math.floor((leftMs / this.#timeMs) * steps))
    let options = this.#tls.get(step)
    if (options === undefined) {
      const handshakeTimeoutMs = (this.#timeMs * step) / steps
      const { cert, key } = certificate
      const { minVersion = 'TLSv1.2' } = this.#options
      options = { role: 'server', cert, key, front: 'tunnel', truncation: 'reset', handshakeTimeoutMs, minVersion }
      this.#tls.set(step, options)
    }
    return options
  }

  #proxy(endpoint: Endpoint, message: RegProxy): void {
    const { allowPlain, sessions } = this.#options
    if (!endpoint.encrypted && allowPlain === false) {
      throw new MillraceError('ERR_PROXY_REFUSED', 'it is plain, which is not allowed here')
    }
    const session = sessions.find(message.ClientId)
    if (session === undefined) throw new MillraceError('ERR_PROXY_REFUSED', 'its agent is not connected')
    session.acceptProxy(endpoint, message.Ticket)
  }

  #refused(endpoint: Endpoint, error: unknown): void {
    const remote = formatAddress(endpoint.remote)
    const code = error instanceof MillraceError ? error.code : 'unknown'
    const fields = { remote, error: error instanceof Error ? error.message : String(error) }
    // Of a full pool its owner knows, and who is kept out on purpose is no news.
    const level = code === 'ERR_POOL_LIMIT' || code === 'ERR_ADDRESS_DENIED' ? 'debug' : 'warn'
    this.#options.refusals.tell({ event: 'connection.refused', level, code, fields })
  }
}
