import { randomBytes } from 'node:crypto'
import type { Addon, TicketKeysHandle } from './addon.ts'

/** TicketKey in native/engine/tls_tickets.h: a name and a secret. */
const keyBytes = 48

/** Sealing keys change so often. Tickets live for 2 h: those of the key before the last have all run out. */
export const rotationMs = 12 * 3_600_000

/**
 * The keys of this environment's session tickets, made here and kept nowhere else: with one of them, and a recording, the
 * connections of TLS 1.2 that it covers could be read, so that none is used for long.
 */
export class TicketKeys {
  readonly handle: TicketKeysHandle
  readonly #addon: Addon
  #sealing: Buffer | undefined
  #since = 0

  constructor(addon: Addon) {
    this.#addon = addon
    this.handle = addon.ticketKeys()
  }

  /** To be called before each use, with the time in ms: makes a new key when it is time for one. */
  rotate(now: number): void {
    const age = now - this.#since
    if (this.#sealing !== undefined && age < rotationMs) return
    const previous = this.#sealing === undefined || age >= 2 * rotationMs ? [] : [this.#sealing]
    this.#sealing = randomBytes(keyBytes)
    this.#since = now
    this.#addon.setTicketKeys(this.handle, Buffer.concat([this.#sealing, ...previous]))
  }
}
