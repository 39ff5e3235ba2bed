import { MillraceError } from '../errors.ts'
import type { TlsOptions } from './types.ts'

/**
 * TLS 1.2: only AEAD with a key exchange that keeps past connections secret when the key is lost. The list of
 * native/engine/tls_context.cc.
 */
const suites12 = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
]
const suites13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']

/** What is spoken, as Node's `ciphers` option. */
export const cipherSuites = [...suites13, ...suites12].join(':')

/** Checks TLS options, except what only OpenSSL can tell. Throws ERR_OPTION. */
export function checkTlsOptions(options: TlsOptions): void {
  const { alpn = [], handshakeTimeoutMs = 1, minVersion = 'TLSv1.2', truncation = 'reset' } = options
  protocolList(alpn)
  if (!(handshakeTimeoutMs > 0)) refuse('handshakeTimeoutMs', '> 0', handshakeTimeoutMs)
  if (minVersion !== 'TLSv1.2' && minVersion !== 'TLSv1.3') refuse('minVersion', 'TLSv1.2 or TLSv1.3', minVersion)
  if (truncation !== 'reset' && truncation !== 'fin') refuse('truncation', "'reset' or 'fin'", truncation)
  if (options.role === 'client' && options.trust.kind === 'pin') readPins(options.trust.sha256)
}

/** The protocols as ALPN carries them (RFC 7301 section 3.1): each behind a byte with its length. Throws ERR_OPTION. */
export function protocolList(protocols: readonly string[]): Buffer {
  const parts = protocols.map((protocol) => {
    const bytes = Buffer.from(protocol)
    if (bytes.length === 0 || bytes.length > 255) refuse('alpn', 'of 1 to 255 bytes each', JSON.stringify(protocol))
    return Buffer.concat([Buffer.of(bytes.length), bytes])
  })
  return Buffer.concat(parts)
}

/** Pins as 32 bytes each. Throws ERR_OPTION for what is no SHA-256 in base64 or hex, and for none at all. */
export function readPins(pins: readonly string[]): readonly Buffer[] {
  if (pins.length === 0) refuse('trust.sha256', 'one pin at least', '[]')
  return pins.map((pin) => {
    if (/^[0-9a-f]{64}$/i.test(pin)) return Buffer.from(pin, 'hex')
    if (/^[A-Za-z0-9+/]{43}=?$/.test(pin)) return Buffer.from(pin, 'base64')
    return refuse('trust.sha256', 'SHA-256 in base64 or hex', JSON.stringify(String(pin).slice(0, 80)))
  })
}

function refuse(name: string, expected: string, value: unknown): never {
  throw new MillraceError('ERR_OPTION', `${name} must be ${expected}, not ${String(value)}`)
}
