import { headEnd } from '../../src/http/head-end.ts'
import { defaultHttpLimits, type HttpLimits } from '../../src/http/limits.ts'
import { refusalStatus } from '../../src/http/refusal.ts'
import { type HttpRequest, parseRequest } from '../../src/http/request.ts'

/** What became of a stream of bytes that should begin with a request's head. */
export interface Verdict {
  /** 0: accepted, or not complete yet. */
  readonly status: number
  /** Bytes of the head; 0 when it is not complete or was refused. */
  readonly length: number
  readonly request: HttpRequest | undefined
}

/** Feeds `text` (one character a byte) in pieces of the given sizes, over and over, as an endpoint's reads would. */
export const readInPieces = (
  text: string,
  sizes: readonly number[],
  limits: HttpLimits = defaultHttpLimits,
): Verdict => {
  const bytes = Buffer.from(text, 'latin1')
  const find = headEnd(limits.headBytes)
  let end = 0
  try {
    for (let piece = 0; end < bytes.length; piece += 1) {
      end = Math.min(bytes.length, end + Math.max(1, sizes[piece % sizes.length] ?? 1))
      const length = find(bytes.subarray(0, end))
      if (length > 0) return { status: 0, length, request: parseRequest(bytes.subarray(0, length), limits) }
    }
    return { status: 0, length: 0, request: undefined }
  } catch (error) {
    const status = refusalStatus(error)
    if (status === undefined) throw error
    return { status, length: 0, request: undefined }
  }
}
