import { createHash, timingSafeEqual } from 'node:crypto'
import { type Field, valuesOf } from './fields.ts'

/** The challenge that goes with a 401 (RFC 7617 §2). */
export const basicChallenge = 'Basic realm="millrace tunnel", charset="UTF-8"'

const basicPattern = /^basic +([A-Za-z0-9+/]+={0,2})$/i

/**
 * True when the one Authorization field holds the Basic credentials `expected` ("user:password", UTF-8). The comparison
 * takes the same time whatever the visitor sent.
 */
export const hasCredentials = (fields: readonly Field[], expected: string): boolean => {
  const values = valuesOf(fields, 'authorization')
  const match = values.length === 1 ? basicPattern.exec(values[0] ?? '') : null
  const given = Buffer.from(match?.[1] ?? '', 'base64')
  return timingSafeEqual(digest(given), digest(Buffer.from(expected, 'utf8'))) && match !== null
}

/** Digests have one length: timingSafeEqual would throw for a guess of another length, and so tell it. */
const digest = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()
