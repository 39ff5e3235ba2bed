import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** A new client id: 128 random bits, 32 hex digits. */
export function newClientId(): string {
  return randomBytes(16).toString('hex')
}

/** A new request id: 64 random bits, 16 hex digits. */
export function newReqId(): string {
  return randomBytes(8).toString('hex')
}

/** Compares two secrets of any lengths without telling by the time where they differ: their SHA-256 are compared. */
export function constantTimeEqual(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())
}
