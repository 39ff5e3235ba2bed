import { isIP } from 'node:net'
import { ipToBytes } from './ip-bytes.ts'

/**
 * What addresses are counted by: IPv4 each for itself, IPv6 by /64, of which one host has as many addresses as it likes.
 * Zones are ignored; what is no IP address (unix peers) counts as itself.
 */
export function addressGroup(host: string): string {
  // By far the most of them, and asked for with each visitor.
  if (!host.includes(':')) return host
  const address = host.replace(/%.*$/s, '').replace(/^::ffff:(?=\d+\.)/i, '')
  return isIP(address) === 6 ? ipToBytes(address).subarray(0, 8).toString('hex') : address
}

/** How many of something each address has now. Holds an entry for each address that has any, and no other. */
export class AddressCount {
  readonly #counts = new Map<string, number>()

  /** Addresses that have any. */
  get size(): number {
    return this.#counts.size
  }

  /** Counts one more, unless the address has `most` already: false then. */
  take(host: string, most: number): boolean {
    const key = addressGroup(host)
    const count = this.#counts.get(key) ?? 0
    if (count >= most) return false
    this.#counts.set(key, count + 1)
    return true
  }

  /** Gives one back that was taken. */
  free(host: string): void {
    const key = addressGroup(host)
    const count = this.#counts.get(key) ?? 0
    if (count <= 1) this.#counts.delete(key)
    else this.#counts.set(key, count - 1)
  }
}
