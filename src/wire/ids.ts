import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** A new client id: 128 random bits, 32 hex digits. */
export function newClientId(): string {
  return randomBytes(16).toString('hex')
}

const reqIdDigits = 16
const reqIdsAtOnce = 256
let digits = ''

/** A new request id: 64 random bits, 16 hex digits. Each visitor gets one, so that they are drawn many at once. */
export function newReqId(): string {
  if (digits === '') digits = randomBytes((reqIdsAtOnce * reqIdDigits) / 2).toString('hex')
  const id = digits.slice(0, reqIdDigits)
  digits = digits.slice(reqIdDigits)
  return id
}

/** Compares two secrets of any lengths without telling by the time where they differ: their SHA-256 are compared. */
export function constantTimeEqual(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())
}
