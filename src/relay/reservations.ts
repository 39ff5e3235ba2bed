import { createHash } from 'node:crypto'
import type { AffinityKind, AffinityOwner } from './affinity.ts'

/** Settings of {@link Reservations}. */
export interface ReservationsOptions {
  /** How long an address is kept for whoever lost it, ms. 0 = not at all. */
  readonly graceMs: number
  /** Most addresses kept. Beyond: the oldest of the same owner goes, else the oldest. */
  readonly limit: number
  /** Any agent with the same token is the owner: not on an open relay, where the client id alone is proof. */
  readonly byToken: boolean
  /** A clock that only goes forward, ms. Default `performance.now`. */
  readonly now?: () => number
}

interface Kept {
  readonly owner: string
  readonly until: number
}

/** How a reservation is saved: address, hashed owner, and the rest of its grace, ms; 0 = it was in use. */
export type SavedReservation = readonly [key: string, owner: string, leftMs: number]

/**
 * Whose each public address is: while a tunnel has it, and for a grace period after it was lost with its session, so
 * that nobody gets a name before its agent is back. Ports and host names alike; a name is one for http, https and tls.
 */
export class Reservations {
  readonly #options: ReservationsOptions
  readonly #now: () => number
  /** Owners of addresses in use. */
  readonly #held = new Map<string, string>()
  /** Addresses in grace, in the order in which it ends. */
  readonly #kept = new Map<string, Kept>()
  #changed = false

  constructor(options: ReservationsOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** True when {@link save} has something new to tell. */
  get changed(): boolean {
    return this.#changed
  }

  /** True when the address is nobody else's. Whether a tunnel has it now is for the tunnel registry to say. */
  mayHave(owner: AffinityOwner, kind: AffinityKind, address: string): boolean {
    const kept = this.#find(keyOf(kind, address))
    return kept === undefined || kept.owner === this.#hash(owner)
  }

  /** True while no tunnel has the address, but its owner is expected back. */
  isAway(kind: AffinityKind, address: string): boolean {
    return this.#find(keyOf(kind, address)) !== undefined
  }

  /** A tunnel has the address now. */
  occupy(owner: AffinityOwner, kind: AffinityKind, address: string): void {
    const key = keyOf(kind, address)
    this.#kept.delete(key)
    this.#held.set(key, this.#hash(owner))
    this.#changed = true
  }

  /** The tunnel lost the address with its session: from now on it is kept for its owner. */
  keep(kind: AffinityKind, address: string): void {
    const { graceMs } = this.#options
    const key = keyOf(kind, address)
    const owner = this.#held.get(key)
    if (owner === undefined) return
    this.free(kind, address)
    if (graceMs > 0) this.#keep(key, { owner, until: this.#now() + graceMs })
  }

  /** The address was given up: anybody may have it. */
  free(kind: AffinityKind, address: string): void {
    if (this.#held.delete(keyOf(kind, address))) this.#changed = true
  }

  /** What the next relay has to know. */
  save(): readonly SavedReservation[] {
    this.#changed = false
    const now = this.#now()
    const held = [...this.#held].map(([key, owner]) => [key, owner, 0] as const)
    const kept = [...this.#kept].filter(([, { until }]) => until > now)
    return [...kept.map(([key, { owner, until }]) => [key, owner, Math.ceil(until - now)] as const), ...held]
  }

  /** What {@link save} told an earlier relay: whoever had an address then has lost it with that relay, just now. */
  restore(saved: readonly SavedReservation[], graceMs = this.#options.graceMs): void {
    if (graceMs === 0) return
    const now = this.#now()
    for (const [key, owner, leftMs] of saved) {
      this.#keep(key, { owner, until: now + (leftMs === 0 ? graceMs : Math.min(leftMs, graceMs)) })
    }
  }

  #find(key: string): Kept | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined || kept.until > this.#now()) return kept
    this.#kept.delete(key)
    return undefined
  }

  #keep(key: string, kept: Kept): void {
    this.#changed = true
    const now = this.#now()
    for (const [first, { until }] of this.#kept) {
      if (until > now) break
      this.#kept.delete(first)
    }
    this.#kept.set(key, kept)
    if (this.#kept.size > this.#options.limit) this.#makeRoom(kept.owner)
  }

  /** Who fills the memory with names loses its own first. */
  #makeRoom(owner: string): void {
    let oldest: string | undefined
    for (const [key, kept] of this.#kept) {
      oldest ??= key
      if (kept.owner !== owner) continue
      oldest = key
      break
    }
    if (oldest !== undefined) this.#kept.delete(oldest)
  }

  #hash({ identityKey, clientId }: AffinityOwner): string {
    const text = this.#options.byToken ? `token ${identityKey}` : `agent ${identityKey} ${clientId}`
    return createHash('sha256').update(text).digest('base64url')
  }
}

function keyOf(kind: AffinityKind, address: string): string {
  return `${kind} ${address}`
}

/** True for what {@link Reservations.save} made, read from a file. */
export function isSavedReservation(value: unknown): value is SavedReservation {
  if (!Array.isArray(value)) return false
  const [key, owner, leftMs] = value as readonly unknown[]
  return typeof key === 'string' && typeof owner === 'string' && typeof leftMs === 'number' && leftMs >= 0
}
