import { MillraceError } from '../errors.ts'

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const DEL = 0x7f

const quote = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`

/**
 * A stateful search for the end of one HTTP head (RFC 9112 §2.1), for use with `Endpoint.readHead`: call it with a
 * growing prefix of what arrives. It looks at each byte once and refuses at the first one that no head can hold, so a
 * TLS hello or a shell script on an HTTP port is answered at once and the verdict does not depend on fragmentation.
 * One empty line before the head is skipped (§2.2). Throws ERR_HTTP_SYNTAX for bare CR or LF and control characters,
 * ERR_HTTP_TARGET_TOO_LONG or ERR_HTTP_HEAD_TOO_LARGE when `limit` bytes hold no end.
 */
export const headEnd = (limit: number): ((bytes: Uint8Array) => number) => {
  let scanned = 0
  let lines = 0
  let emptyLine = true
  let skippedEmptyLine = false
  let afterCr = false

  /** Called at each CRLF; true at the one that ends the head. */
  const endOfLine = (): boolean => {
    if (emptyLine && lines > 0) return true
    if (!emptyLine) lines += 1
    else if (skippedEmptyLine) throw new MillraceError('ERR_HTTP_SYNTAX', 'empty lines before the request')
    else skippedEmptyLine = true
    emptyLine = true
    return false
  }

  return (bytes) => {
    const end = Math.min(bytes.length, limit)
    for (; scanned < end; scanned += 1) {
      const byte = bytes[scanned] ?? 0
      if (afterCr) {
        if (byte !== LF) throw new MillraceError('ERR_HTTP_SYNTAX', 'a carriage return without a line feed')
        afterCr = false
        if (endOfLine()) return scanned + 1
      } else if (byte === CR) {
        afterCr = true
      } else if (byte === LF) {
        throw new MillraceError('ERR_HTTP_SYNTAX', 'a line feed without a carriage return')
      } else if ((byte < SPACE && byte !== TAB) || byte === DEL) {
        throw new MillraceError('ERR_HTTP_SYNTAX', `the control character ${quote(byte)}`)
      } else {
        emptyLine = false
      }
    }
    if (end < limit) return 0
    const code = lines === 0 ? 'ERR_HTTP_TARGET_TOO_LONG' : 'ERR_HTTP_HEAD_TOO_LARGE'
    throw new MillraceError(code, `${limit} bytes`)
  }
}
