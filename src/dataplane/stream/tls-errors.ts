import { MillraceError } from '../../errors.ts'
import { errnoOf } from './port-roles.ts'

const sentences: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed and not among those trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate chain ends in an authority that is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate was issued by an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate was issued by an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate was issued by an authority that is not trusted',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet: check both clocks',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for other names',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the peer does not speak TLS here',
  ERR_SSL_HTTP_REQUEST: 'the peer speaks plain HTTP here',
  PIN_MISMATCH: "the server's public key is not a pinned one",
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the peer speaks no TLS version that is allowed here',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'the peer accepts no TLS version that is allowed here',
  ERR_SSL_NO_SHARED_CIPHER: 'no cipher suite in common',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'the peer refused the handshake',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'the peer does not trust our certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'the peer does not accept our certificate',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'the peer does not accept our certificate',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'no application protocol (ALPN) in common',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'no application protocol (ALPN) in common',
}

/** The error for a handshake that failed: which check, in a sentence, with the cause kept. */
export function tlsError(cause: unknown, name: string): MillraceError {
  const code = errnoOf(cause)
  const text = sentences[code] ?? (librarysWord(cause, code) || 'the connection was closed')
  const reset = code === 'ECONNRESET' || code === 'EPIPE' || code === ''
  if (reset) return new MillraceError('ERR_TLS', 'the peer closed the connection during the handshake', { cause })
  const about = name === '' ? '' : ` (for ${name})`
  return new MillraceError('ERR_TLS', `${text}${about}${code in sentences ? ` [${code}]` : ''}`, { cause })
}

/** OpenSSL's own reason. Its whole message holds the address of a thread, and a line of its source. */
function librarysWord(cause: unknown, code: string): string {
  if (!(cause instanceof Error)) return ''
  const reason: unknown = Reflect.get(cause, 'reason')
  if (!code.startsWith('ERR_SSL') || typeof reason !== 'string') return cause.message
  return code.includes('_ALERT_') ? `the peer refused: ${reason}` : `the peer broke the protocol: ${reason}`
}
