import { MillraceError } from '../../errors.ts'
import type { Address, TlsAgreement, TlsOptions } from '../types.ts'
import { type Core, type EndpointEvents, errnoName } from './core.ts'
import { NativeEndpoint } from './endpoint.ts'
import type { HandedOver } from './endpoint-parts.ts'
import { type EventReader, toAddress } from './events.ts'
import { faultError } from './tls-fault.ts'

/** TLS on an endpoint, in the engine. The options are checked. Rejects as {@link DataPlane.secure} says. */
export function secureInEngine(core: Core, endpoint: NativeEndpoint, options: TlsOptions): Promise<NativeEndpoint> {
  const unusable = endpoint.unusable()
  if (unusable !== undefined) return Promise.reject(unusable)
  if (!endpoint.open) return Promise.reject(new MillraceError('ERR_ENDPOINT_RESET'))
  return new Promise((resolve, reject) => {
    try {
      const context = core.tls.of(options)
      const handshake = new Handshake(core, endpoint, options, resolve, reject)
      const { name, address, head, timeoutMs } = handshake
      const resets = options.truncation !== 'fin'
      core.addon.secure(endpoint.id, context, name, address, head, resets, timeoutMs)
    } catch (error) {
      endpoint.destroy('reset')
      reject(error instanceof Error ? error : new Error(String(error)))
    }
  })
}

/** A handshake under way: takes the place of its endpoint, until the one that speaks TLS takes its own. */
class Handshake implements EndpointEvents {
  readonly name: string
  /** Tells servers apart whose sessions are used again. */
  readonly address: string
  readonly head: Buffer | undefined
  readonly timeoutMs: number
  readonly #core: Core
  readonly #id: number
  readonly #isServer: boolean
  readonly #plain: HandedOver
  readonly #resolve: (endpoint: NativeEndpoint) => void
  readonly #reject: (error: MillraceError) => void
  #over = false

  constructor(
    core: Core,
    endpoint: NativeEndpoint,
    options: TlsOptions,
    resolve: (endpoint: NativeEndpoint) => void,
    reject: (error: MillraceError) => void,
  ) {
    this.#core = core
    this.#id = endpoint.id
    this.#isServer = options.role === 'server'
    this.name = options.role === 'client' ? options.serverName : ''
    this.timeoutMs = options.handshakeTimeoutMs ?? 10_000
    this.#plain = endpoint.handOver()
    this.head = this.#plain.unread
    this.address = this.#isServer ? '' : addressKey(toAddress(this.#plain.remote), endpoint.id)
    this.#resolve = resolve
    this.#reject = reject
    core.addEndpoint(endpoint.id, this)
  }

  onSecured(event: EventReader): void {
    const text = event.payload().toString()
    if (event.code !== 0) {
      const fault = { code: event.code, alert: event.value(1), errno: errnoName(event.value(3)), text }
      this.#fail(faultError(fault, this.name, this.timeoutMs))
      return
    }
    if (this.#over) return
    this.#over = true
    const [serverName = '', alpn = '', version = '', cipher = ''] = text.split('\n')
    const tls: TlsAgreement = { version, cipher, alpn, resumed: event.value(2) === 1 }
    const { local, remote, closed, flushes } = this.#plain
    const secured = { serverName: this.#isServer ? serverName : '', tls }
    this.#resolve(new NativeEndpoint(this.#core, this.#id, local, remote, { secured, closed, flushes }))
  }

  onGone(errno: number): void {
    const code = errnoName(errno) || 'ECONNRESET'
    const cause = Object.assign(new Error(code), { code })
    this.#fail(new MillraceError('ERR_ENDPOINT_RESET', '', { cause }))
  }

  onFlushed(errno: number): void {
    this.#plain.flushes?.settle(errno === 0 ? undefined : new MillraceError('ERR_ENDPOINT_RESET'))
  }

  onPeerEnded(errno: number): void {
    this.#plain.closed.note(errno === 0 ? 'fin' : 'reset')
  }

  onRead(): void {}
  onDialed(): void {}
  onReleased(): void {}
  onLaneOpened(): void {}
  onLaneFree(): void {}

  #fail(error: MillraceError): void {
    if (this.#over) return
    this.#over = true
    this.#plain.flushes?.settle(error)
    this.#reject(error)
  }
}

/** A unix peer's address says nothing: such a connection is like no other. */
function addressKey(address: Address, id: number): string {
  return address.family === 'unix' ? `unix ${id}` : `${address.host} ${address.port}`
}
