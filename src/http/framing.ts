import { MillraceError } from '../errors.ts'
import { type Field, isToken, listOf, valuesOf } from './fields.ts'

/** How long a request's body is (RFC 9112 §6.3). A request that says nothing has a body of length 0. */
export type Body = { readonly kind: 'length'; readonly bytes: number } | { readonly kind: 'chunked' }

/** 4 PiB: a head and such a body together are still a safe integer. */
const MAX_LENGTH = 2 ** 52

/**
 * Decides the body's framing, and refuses whatever two parsers could read differently: Content-Length beside
 * Transfer-Encoding, lengths that are not digits or differ, chunked in HTTP/1.0 (ERR_HTTP_FRAMING), codings other than
 * chunked (ERR_HTTP_NOT_IMPLEMENTED), absurd lengths (ERR_HTTP_LENGTH_TOO_LARGE).
 */
export const bodyOf = (fields: readonly Field[], version: '1.0' | '1.1'): Body => {
  const lengths = valuesOf(fields, 'content-length')
  if (valuesOf(fields, 'transfer-encoding').length === 0) return { kind: 'length', bytes: lengthOf(lengths) }
  if (lengths.length > 0) throw new MillraceError('ERR_HTTP_FRAMING', 'Content-Length beside Transfer-Encoding')
  if (version === '1.0') throw new MillraceError('ERR_HTTP_FRAMING', 'Transfer-Encoding in HTTP/1.0')
  const codings = listOf(fields, 'transfer-encoding')
  if (codings.length === 1 && codings[0] === 'chunked') return { kind: 'chunked' }
  // §6.1 asks for 501 when a coding is unknown, §6.3 for 400 when the last one is not chunked.
  if (codings.indexOf('chunked') === codings.length - 1 && codings.length > 0 && codings.every(isToken)) {
    throw new MillraceError('ERR_HTTP_NOT_IMPLEMENTED', 'transfer codings other than chunked')
  }
  throw new MillraceError('ERR_HTTP_FRAMING', 'Transfer-Encoding must be chunked')
}

const lengthOf = (values: readonly string[]): number => {
  const [first = '0', ...others] = values
  if (!/^[0-9]+$/.test(first)) throw new MillraceError('ERR_HTTP_FRAMING', 'Content-Length must be digits only')
  if (others.some((other) => other !== first)) throw new MillraceError('ERR_HTTP_FRAMING', 'differing Content-Length')
  const bytes = Number(first)
  if (bytes > MAX_LENGTH) throw new MillraceError('ERR_HTTP_LENGTH_TOO_LARGE')
  return bytes
}
