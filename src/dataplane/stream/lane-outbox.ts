import type { Port } from './port.ts'

/** So much at most is held back. */
const maxHeld = 65_536

/**
 * What a lane sends: at once, or held until the end of the turn, so that an OPEN leaves together with the first bytes of its
 * visit. While it is held nothing of it can have reached the peer.
 */
export class LaneOutbox {
  readonly #carrier: Port
  #held: Buffer[] | undefined
  #heldBytes = 0
  #position: number

  constructor(carrier: Port) {
    this.#carrier = carrier
    this.#position = carrier.given
  }

  /** How much has been sent, what is held included. Comparable with the carrier's own counts. */
  get position(): number {
    return this.#position
  }

  /** How much of that the carrier has finished. */
  get finished(): number {
    return this.#carrier.gone ? this.#carrier.taken : this.#position - this.#heldBytes - this.#carrier.pending
  }

  /** Something is held, or about to be. */
  get holding(): boolean {
    return this.#held !== undefined
  }

  send(bytes: Buffer): void {
    this.#position += bytes.length
    if (this.#held === undefined) {
      this.#carrier.write(bytes)
      return
    }
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    if (this.#heldBytes > maxHeld) this.#release()
  }

  /** Holds what is sent in the rest of this turn, of which the poll phase to come is part. */
  hold(): void {
    if (this.#held !== undefined) return
    this.#held = []
    setImmediate(() => this.#release())
  }

  /** What is held never leaves. */
  drop(): void {
    this.#held = undefined
    this.#heldBytes = 0
  }

  #release(): void {
    const held = this.#held
    if (held === undefined) return
    this.drop()
    this.#carrier.write(Buffer.concat(held))
  }
}
