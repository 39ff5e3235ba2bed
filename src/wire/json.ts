import { MillraceError } from '../errors.ts'
import { maxDepth } from './limits.ts'

const quote = 0x22
const backslash = 0x5c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/**
 * Throws ERR_FRAME_DEPTH when objects and arrays nest deeper than {@link maxDepth}. Looks at brackets and strings only;
 * whether it is JSON at all is the parser's to say. In UTF-8 no byte of a longer character equals an ASCII one.
 */
export function assertDepth(json: Buffer): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]
    if (inString) {
      if (byte === backslash) i++
      else if (byte === quote) inString = false
    } else if (byte === quote) inString = true
    else if (byte === openBrace || byte === openBracket) {
      if (++depth > maxDepth) throw new MillraceError('ERR_FRAME_DEPTH', `${maxDepth}`)
    } else if (byte === closeBrace || byte === closeBracket) depth--
  }
}

/** True for a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Lone surrogates (`"\ud800"` is valid JSON) become U+FFFD, as in Go: the text can then be written as UTF-8 again. */
export function wellFormed(text: string): string {
  return text.toWellFormed()
}
