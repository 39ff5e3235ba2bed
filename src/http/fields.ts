import { MillraceError } from '../errors.ts'

/** One field line of a head (RFC 9112 §5). */
export interface Field {
  /** As it was sent. */
  readonly name: string
  /** The name in lower case, for comparisons. */
  readonly key: string
  /** Without the whitespace around it; one character per byte. */
  readonly value: string
}

const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const badValuePattern = /[^\t -~\x80-\xff]/

/** True for a token of RFC 9110 §5.6.2. */
export const isToken = (text: string): boolean => tokenPattern.test(text)

/**
 * Parses one field line without its CRLF. Throws ERR_HTTP_SYNTAX for folded lines, whitespace before the colon, names
 * that are no token, and values with control characters.
 */
export const parseField = (line: string): Field => {
  if (line.startsWith(' ') || line.startsWith('\t')) {
    throw new MillraceError('ERR_HTTP_SYNTAX', 'a folded field line')
  }
  const colon = line.indexOf(':')
  if (colon < 0) throw new MillraceError('ERR_HTTP_SYNTAX', 'a field line without a colon')
  const name = line.slice(0, colon)
  if (!isToken(name)) throw new MillraceError('ERR_HTTP_SYNTAX', 'a field name that is no token')
  const value = trimWhitespace(line.slice(colon + 1))
  if (badValuePattern.test(value)) throw new MillraceError('ERR_HTTP_SYNTAX', `a control character in ${name}`)
  return { name, key: name.toLowerCase(), value }
}

/** All values of a field, in order. */
export const valuesOf = (fields: readonly Field[], key: string): readonly string[] =>
  fields.filter((field) => field.key === key).map((field) => field.value)

/** The members of a comma-separated field, over all its lines, in lower case; empty members are skipped (RFC 9110 §5.6.1). */
export const listOf = (fields: readonly Field[], key: string): readonly string[] =>
  valuesOf(fields, key)
    .flatMap((value) => value.split(','))
    .map((member) => trimWhitespace(member).toLowerCase())
    .filter((member) => member !== '')

/** Only SP and HTAB: `String.trim` would also take NBSP, which is a legal byte of a value. */
export const trimWhitespace = (text: string): string => {
  let start = 0
  let end = text.length
  while (start < end && isWhitespace(text, start)) start += 1
  while (end > start && isWhitespace(text, end - 1)) end -= 1
  return text.slice(start, end)
}

const isWhitespace = (text: string, index: number): boolean => text[index] === ' ' || text[index] === '\t'
