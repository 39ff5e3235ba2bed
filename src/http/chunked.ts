import { MillraceError } from '../errors.ts'
import { parseField } from './fields.ts'
import type { HttpLimits } from './limits.ts'

/**
 * What a trailer must not bring in behind the checks of the head (RFC 9110 §6.5.1): framing, routing, credentials and
 * the fields that say who the visitor is.
 */
const forbiddenTrailer =
  /^(?:transfer-encoding|content-length|host|connection|upgrade|te|authorization|cookie|forwarded|x-real-ip|x-forwarded-.*)$/

const CR = 0x0d
const LF = 0x0a

type State = 'line' | 'line-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'trailer-lf' | 'done'

/**
 * Follows the framing of one chunked body (RFC 9112 §7.1) without changing a byte, so that it is known where the body
 * ends and that nobody behind us can see another end. Memory is bounded by the limits; chunk data is skipped, not
 * looked at.
 */
export class ChunkedScanner {
  readonly #limits: HttpLimits
  #state: State = 'line'
  /** Bytes of chunk data still to come. */
  #remaining = 0
  /** The size line or the trailer line that is being read. */
  #line = ''
  #trailerBytes = 0

  constructor(limits: HttpLimits) {
    this.#limits = limits
  }

  /** True once the final CRLF has been seen. */
  get done(): boolean {
    return this.#state === 'done'
  }

  /**
   * Takes the next bytes; returns how many of them belong to the body: all, unless it ends among them. Throws
   * ERR_HTTP_FRAMING or ERR_HTTP_SYNTAX for anything but strict framing; the scanner is of no use afterwards.
   */
  feed(bytes: Uint8Array): number {
    let at = 0
    while (at < bytes.length && this.#state !== 'done') {
      if (this.#state === 'data') {
        const taken = Math.min(this.#remaining, bytes.length - at)
        this.#remaining -= taken
        at += taken
        if (this.#remaining === 0) this.#state = 'data-cr'
      } else {
        this.#step(bytes[at] ?? 0)
        at += 1
      }
    }
    return at
  }

  #step(byte: number): void {
    switch (this.#state) {
      case 'line':
        if (byte === CR) this.#state = 'line-lf'
        else this.#append(byte)
        if (this.#line.length > this.#limits.chunkLineBytes) {
          throw new MillraceError('ERR_HTTP_FRAMING', 'a chunk-size line over the limit')
        }
        break
      case 'line-lf':
        expect(byte, LF)
        this.#startChunk()
        break
      case 'data-cr':
        expect(byte, CR)
        this.#state = 'data-lf'
        break
      case 'data-lf':
        expect(byte, LF)
        this.#state = 'line'
        break
      case 'trailer':
        this.#countTrailer()
        if (byte === CR) this.#state = 'trailer-lf'
        else this.#append(byte)
        break
      case 'trailer-lf':
        this.#countTrailer()
        expect(byte, LF)
        this.#endTrailerLine()
        break
      case 'data':
      case 'done':
        break
    }
  }

  #countTrailer(): void {
    this.#trailerBytes += 1
    if (this.#trailerBytes > this.#limits.trailerBytes) {
      throw new MillraceError('ERR_HTTP_FRAMING', 'a trailer section over the limit')
    }
  }

  #append(byte: number): void {
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) {
      throw new MillraceError('ERR_HTTP_FRAMING', 'a control character between chunks')
    }
    this.#line += String.fromCharCode(byte)
  }

  #startChunk(): void {
    this.#remaining = parseChunkSize(this.#line)
    this.#line = ''
    this.#state = this.#remaining === 0 ? 'trailer' : 'data'
  }

  #endTrailerLine(): void {
    if (this.#line === '') {
      this.#state = 'done'
      return
    }
    const { key } = parseField(this.#line)
    if (forbiddenTrailer.test(key.replaceAll('_', '-'))) {
      throw new MillraceError('ERR_HTTP_FRAMING', 'a field that may not be a trailer')
    }
    this.#line = ''
    this.#state = 'trailer'
  }
}

/** Whitespace around the size is refused: parsers disagree about it. 13 digits keep the size a safe integer. */
const sizePattern = /^0*([0-9A-Fa-f]{1,13})(?:;[\t -~]*)?$/

const parseChunkSize = (line: string): number => {
  const digits = sizePattern.exec(line)?.[1]
  if (digits === undefined) throw new MillraceError('ERR_HTTP_FRAMING', 'a malformed chunk size')
  return Number.parseInt(digits, 16)
}

const expect = (byte: number, wanted: number): void => {
  if (byte !== wanted) throw new MillraceError('ERR_HTTP_FRAMING', 'a chunk without its CRLF')
}
