import { constants } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { TlsCache } from '../tls-cache.ts'
import { cipherSuites } from '../tls-options.ts'
import type { TlsOptions } from '../types.ts'
import { ClientSessions } from './client-sessions.ts'

/** A server's tickets are sealed with a key of its context; a new one is made so often, ms. */
const rotationMs = 12 * 3_600_000
/** How long a ticket is good, s. */
const ticketSeconds = 7_200

/** What connections of one kind have in common. */
export class StreamContext {
  readonly sessions = new ClientSessions()
  readonly #options: TlsOptions
  #made: SecureContext
  #since = performance.now()

  constructor(options: TlsOptions) {
    this.#options = options
    this.#made = make(options)
  }

  /** Node's object. The tickets of a server's last one are forgotten with it: those clients shake hands in full once. */
  get secureContext(): SecureContext {
    if (this.#options.role === 'server' && performance.now() - this.#since >= rotationMs) {
      this.#made = make(this.#options)
      this.#since = performance.now()
    }
    return this.#made
  }
}

const contexts = new TlsCache((options) => new StreamContext(options))

/** For checked options. Throws what Node says of a certificate, a key or a list of roots. */
export function streamContext(options: TlsOptions): StreamContext {
  return contexts.of(options)
}

function make(options: TlsOptions): SecureContext {
  return createSecureContext({
    minVersion: options.minVersion ?? 'TLSv1.2',
    ciphers: cipherSuites,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
    honorCipherOrder: true,
    sessionTimeout: ticketSeconds,
    ...(options.role === 'server' && { cert: options.cert, key: options.key }),
    // A certificate given as the authority is trusted for itself, also when somebody else issued it.
    ...(options.role === 'client' &&
      options.trust.kind === 'ca' && { ca: options.trust.pem, allowPartialTrustChain: true }),
  })
}
