import { MillraceError } from '../../errors.ts'
import { tlsError } from '../stream/tls-errors.ts'

/** TlsFault in native/engine/tls_error.h by number, as Node and OpenSSL call the same; '' where they have no word. */
const faults = [
  '',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_UNSUPPORTED_PROTOCOL',
  'ERR_SSL_NO_SHARED_CIPHER',
  'ERR_SSL_NO_APPLICATION_PROTOCOL',
  'NO_CERTIFICATE_FOR_NAME',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'PIN_MISMATCH',
  'CERT_UNTRUSTED',
  'ALERT',
  'CUT',
  'ERR_SSL_FLOOD',
  'ERR_SSL_PROTOCOL',
  'ERR_SSL_INTERNAL',
  'TIMED_OUT',
  'BUSY',
] as const

/** RFC 8446 section 6, where Node has a name of its own. */
const alerts: Readonly<Record<number, string>> = {
  40: 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
  42: 'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
  46: 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
  48: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
  70: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  120: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
}

/** What a Secured event says of a handshake that failed. */
export interface TlsFault {
  /** TlsFault's number. */
  readonly code: number
  readonly alert: number
  /** Errno's name when the connection broke, else ''. */
  readonly errno: string
  /** The engine's sentence. */
  readonly text: string
}

/** The error of a failed handshake, worded as that of the stream data plane. `name` is who was asked for. */
export function faultError(fault: TlsFault, name: string, timeoutMs: number): MillraceError {
  const known = faults[fault.code]
  if (known === 'BUSY') return new MillraceError('ERR_TLS_BUSY')
  if (known === 'TIMED_OUT') return new MillraceError('ERR_TLS_TIMEOUT', String(timeoutMs))
  const code = known === 'CUT' ? fault.errno : known === 'ALERT' ? (alerts[fault.alert] ?? 'ERR_SSL_ALERT') : known
  // "plain HTTP" is told apart by its sentence alone.
  const word = fault.text.includes('plain HTTP') ? 'ERR_SSL_HTTP_REQUEST' : code
  return tlsError(Object.assign(new Error(fault.text), { code: word ?? 'ERR_SSL_INTERNAL' }), name)
}
