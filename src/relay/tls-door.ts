import type { DataPlane, Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import type { RelayLimits } from '../limits/relay.ts'
import { formatAddress } from '../net/address.ts'
import { AddressCount } from '../net/address-group.ts'
import type { ClientHello } from '../net/client-hello.ts'
import type { Refusals } from '../observe/refusals.ts'
import type { CertificateStore } from './certificate-store.ts'
import { readClientHello } from './hello-read.ts'
import { hostOf, keepOrigin, originOf } from './origin.ts'

/**
 * What becomes of a visitor whose ClientHello has been seen. `terminate`: the handshake is ours. `passed`: the front has
 * taken the endpoint, hello and all. `unknown`: nobody here has that name.
 */
export type HelloVerdict = 'terminate' | 'passed' | 'unknown'

/** What a front says about its visitors. None of it may throw. */
export interface TlsGuide {
  /** Which protocol the handshake leads to: for `https`, ALPN offers http/1.1. */
  readonly kind: 'https' | 'raw'
  judge(hello: ClientHello, visitor: Endpoint): HelloVerdict | Promise<HelloVerdict>
  /** Takes the TLS session over. */
  secured(endpoint: Endpoint, hello: ClientHello): void
}

/** For visitors of a TCP tunnel, who get any certificate rather than none: they know whom they have dialed. */
export const terminating = (secured: (endpoint: Endpoint) => void): TlsGuide => ({
  kind: 'raw',
  judge: () => 'terminate',
  secured,
})

/** What the door works with. */
export interface TlsDoorOptions {
  readonly dataPlane: DataPlane
  readonly certificates: CertificateStore
  /** As they are at each visitor. `pendingVisitors`: in a handshake at once; beyond, the newest is reset. */
  readonly limits: Pick<RelayLimits, 'pendingVisitors' | 'pendingPerAddress' | 'clientHelloBytes' | 'clientHelloMs'>
  readonly refusals: Refusals
}

/** Alerts that we send before there is a session: a record of two bytes, level fatal (RFC 8446 section 6). */
const alert = (description: number): Buffer => Buffer.from([21, 3, 3, 0, 2, 2, description])
const decodeError = alert(50)
const unrecognizedName = alert(112)

/** Where visitors come in who speak TLS: reads what they want, and does the handshake if it is ours to do. */
export class TlsDoor {
  readonly #options: TlsDoorOptions
  /** Those whose hello is awaited: they have been promised nothing yet. */
  readonly #silent = new Set<Endpoint>()
  readonly #perAddress = new AddressCount()
  #pending = 0
  #closed = false

  constructor(options: TlsDoorOptions) {
    this.#options = options
  }

  /** Visitors whose handshake has not come to its end. */
  get pending(): number {
    return this.#pending
  }

  /** Takes a visitor over. Never throws. */
  open(visitor: Endpoint, guide: TlsGuide): void {
    const problem = this.#closed ? undefined : this.#problem(visitor)
    if (this.#closed || problem !== undefined) {
      visitor.destroy('reset')
      if (problem !== undefined) this.#refused(visitor, problem, 'warn')
      return
    }
    const host = hostOf(visitor)
    this.#pending++
    this.#admit(visitor, guide)
      .catch((error: unknown) => {
        visitor.destroy()
        if (!this.#closed) this.#refused(visitor, error, 'debug')
      })
      .finally(() => {
        this.#pending--
        this.#perAddress.free(host)
      })
  }

  /** Why a visitor is not even listened to. Without a reason it is counted. */
  #problem(visitor: Endpoint): MillraceError | undefined {
    const { pendingPerAddress, pendingVisitors } = this.#options.limits
    if (this.#pending >= pendingVisitors) return new MillraceError('ERR_VISITOR_LIMIT', `${pendingVisitors}`)
    if (this.#perAddress.take(hostOf(visitor), pendingPerAddress)) return undefined
    return new MillraceError('ERR_ADDRESS_LIMIT', `${pendingPerAddress}`)
  }

  /** Lets nobody in any more, and goes of those who have not said hello. Handshakes under way come to their end. */
  close(): void {
    this.#closed = true
    for (const visitor of this.#silent) visitor.destroy()
  }

  async #admit(visitor: Endpoint, guide: TlsGuide): Promise<void> {
    const { dataPlane, certificates, limits } = this.#options
    const { clientHelloBytes, clientHelloMs } = limits
    this.#silent.add(visitor)
    const reading = await readClientHello(visitor, clientHelloBytes, clientHelloMs).finally(() =>
      this.#silent.delete(visitor),
    )
    if (reading.kind === 'left') {
      visitor.destroy()
      return
    }
    if (reading.kind === 'refused') {
      if (reading.tls) visitor.write(decodeError)
      throw reading.error
    }
    const { hello } = reading
    const verdict = await guide.judge(hello, visitor)
    if (verdict === 'unknown') {
      visitor.write(unrecognizedName)
      throw new MillraceError('ERR_SERVER_NAME')
    }
    if (verdict === 'terminate') {
      const secured = await dataPlane.secure(visitor, certificates.find(hello.serverName)[guide.kind])
      guide.secured(keepOrigin(visitor, secured), hello)
    }
  }

  #refused(visitor: Endpoint, error: unknown, level: 'warn' | 'debug'): void {
    const code = error instanceof MillraceError ? error.code : 'unknown'
    const text = error instanceof Error ? error.message : String(error)
    const fields = { remote: formatAddress(originOf(visitor).remote), error: text }
    this.#options.refusals.tell({ event: 'visitor.refused', level, code, fields })
  }
}
