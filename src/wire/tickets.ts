import { createHmac, randomBytes } from 'node:crypto'
import { maxLiveTickets, ticketLifeMs } from './limits.ts'

/** Settings of a {@link TicketBook}. */
export interface TicketBookOptions {
  /** A monotonic clock in ms. Default `performance.now`. */
  readonly now?: () => number
  /** How long a ticket lives, ms. Default {@link ticketLifeMs}. */
  readonly lifeMs?: number
  /** Most tickets waiting to be redeemed. Default {@link maxLiveTickets}. */
  readonly max?: number
}

/**
 * The tickets of one session (extension `ticket`). A book keeps only keyed digests and looks a presented ticket up by
 * its digest: the time that takes tells nothing about a live ticket, as nobody outside can compute a digest.
 */
export class TicketBook {
  readonly #now: () => number
  readonly #lifeMs: number
  readonly #max: number
  readonly #key = randomBytes(32)
  /** Digest → when it lapses. In order of issue, which is the order of lapsing too. */
  readonly #live = new Map<string, number>()

  constructor(options: TicketBookOptions = {}) {
    this.#now = options.now ?? (() => performance.now())
    this.#lifeMs = options.lifeMs ?? ticketLifeMs
    this.#max = options.max ?? maxLiveTickets
  }

  /** Tickets that could be redeemed now. */
  get size(): number {
    this.#forgetLapsed()
    return this.#live.size
  }

  /** A new ticket: 128 random bits, 32 hex digits, good once and for 30 s. In a full book the oldest one lapses. */
  issue(): string {
    this.#forgetLapsed()
    if (this.#live.size >= this.#max) {
      for (const oldest of this.#live.keys()) {
        this.#live.delete(oldest)
        break
      }
    }
    const ticket = randomBytes(16).toString('hex')
    this.#live.set(this.#digest(ticket), this.#now() + this.#lifeMs)
    return ticket
  }

  /** True once for a live ticket of this book; false for any other text. */
  redeem(ticket: string): boolean {
    this.#forgetLapsed()
    return this.#live.delete(this.#digest(ticket))
  }

  /** Forgets all tickets: the session is over. */
  clear(): void {
    this.#live.clear()
  }

  #digest(ticket: string): string {
    return createHmac('sha256', this.#key).update(ticket).digest('base64')
  }

  #forgetLapsed(): void {
    const now = this.#now()
    for (const [digest, lapsesAt] of this.#live) {
      if (lapsesAt > now) break
      this.#live.delete(digest)
    }
  }
}
