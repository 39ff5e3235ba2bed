import { createHash } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { MillraceError } from '../../errors.ts'
import { readPins } from '../tls-options.ts'
import type { TlsOptions } from '../types.ts'
import { tlsError } from './tls-errors.ts'

/** Why a session whose handshake is done is not with a pinned key; undefined where it is, and without pins. */
export function pinError(session: TLSSocket, options: TlsOptions): MillraceError | undefined {
  if (options.role !== 'client' || options.trust.kind !== 'pin') return undefined
  // It comes without a certificate. Sessions are kept for one trust, from connections that passed here with one.
  if (session.isSessionReused()) return undefined
  const certificate = session.getPeerX509Certificate()
  if (certificate !== undefined) {
    const key = certificate.publicKey.export({ type: 'spki', format: 'der' })
    const digest = createHash('sha256').update(key).digest()
    if (readPins(options.trust.sha256).some((pin) => pin.equals(digest))) return undefined
  }
  const cause = Object.assign(new Error('the public key is not a pinned one'), { code: 'PIN_MISMATCH' })
  return tlsError(cause, options.serverName)
}
