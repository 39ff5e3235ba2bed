import { createHash, randomBytes } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { isSavedReservation, type Reservations } from './reservations.ts'

/** What is remembered: host names (`web.example.com`) or ports of TCP tunnels (`7000`). */
export type AffinityKind = 'host' | 'port'

/** Whose addresses they are: of one agent, or of whoever has the token. */
export interface AffinityOwner {
  /** See {@link import('./tokens.ts').Identity}. */
  readonly identityKey: string
  readonly clientId: string
}

interface Entry {
  readonly host: readonly string[]
  readonly port: readonly string[]
}

/** Addresses remembered of one kind and owner. */
const addressesPerEntry = 64

/**
 * Remembers which addresses an agent had, so that it gets them again when it comes back without having asked for them.
 * Least recently used owners are forgotten first. What is kept, in memory and in the file, is hashed: on an open relay
 * a client id is a secret.
 */
export class Affinity {
  readonly #limit: number
  readonly #file: string | undefined
  readonly #reservations: Reservations | undefined
  readonly #entries = new Map<string, Entry>()
  #dirty = false
  #saving: Promise<void> = Promise.resolve()

  /**
   * `limit`: owners remembered. `file`: where {@link save} writes; none = only in memory. `reservations` are kept in the
   * same file.
   */
  constructor(limit: number, file?: string, reservations?: Reservations) {
    this.#reservations = reservations
    this.#limit = limit
    this.#file = file
  }

  /** True when there is something to {@link save}. */
  get changed(): boolean {
    return this.#dirty || this.#reservations?.changed === true
  }

  /** Reads what an earlier relay saved. A missing or damaged file is an empty memory: nothing depends on it. */
  async load(): Promise<void> {
    if (this.#file === undefined) return
    const saved: unknown = await readFile(this.#file, 'utf8')
      .then(JSON.parse)
      .catch(() => [])
    if (Array.isArray(saved)) this.inherit(saved)
  }

  /**
   * Takes over what {@link items} gave, of this relay's memory or another's; what is damaged is left out. `graceMs`: for
   * how long addresses that were in use are kept for their owners. Default that of the reservations.
   */
  inherit(saved: readonly unknown[], graceMs?: number): void {
    const entries = saved.filter((item) => Array.isArray(item))
    for (const item of entries.slice(-this.#limit)) {
      const [owner, host, port] = item as readonly unknown[]
      if (typeof owner === 'string' && isStrings(host) && isStrings(port)) this.#entries.set(owner, { host, port })
    }
    for (const item of saved) {
      const reserved = typeof item === 'object' && item !== null && 'reserved' in item ? item.reserved : undefined
      if (isSavedReservation(reserved)) this.#reservations?.restore([reserved], graceMs)
    }
  }

  /** All that is remembered and reserved, for JSON: the least recently used first. */
  items(): readonly unknown[] {
    const entries = [...this.#entries].map(([owner, { host, port }]) => [owner, host, port])
    return [...entries, ...(this.#reservations?.save() ?? []).map((reserved) => ({ reserved }))]
  }

  /** The addresses of an agent in the order in which it got them, then those of its token (not on an open relay). */
  recall(owner: AffinityOwner, kind: AffinityKind, byToken: boolean): readonly string[] {
    const own = this.#touch(agentKey(owner))?.[kind] ?? []
    const shared = byToken ? (this.#touch(tokenKey(owner))?.[kind] ?? []) : []
    return [...new Set([...own, ...shared])]
  }

  /** An agent got an address. */
  remember(owner: AffinityOwner, kind: AffinityKind, address: string, byToken: boolean): void {
    this.#add(agentKey(owner), kind, address)
    if (byToken) this.#add(tokenKey(owner), kind, address)
  }

  /** Writes the memory to its file by atomic replace, if anything changed. Rejects with the system's error. */
  async save(): Promise<void> {
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#write())
    await this.#saving
  }

  async #write(): Promise<void> {
    if (this.#file === undefined || !this.changed) return
    this.#dirty = false
    const temporary = `${this.#file}.${randomBytes(4).toString('hex')}`
    try {
      const lines = this.items().map((item) => JSON.stringify(item))
      await writeFile(temporary, `[\n${lines.join(',\n')}\n]\n`, { mode: 0o600, flag: 'wx' })
      await rename(temporary, this.#file)
    } catch (error) {
      this.#dirty = true
      await rm(temporary, { force: true })
      throw error
    }
  }

  #add(key: string, kind: AffinityKind, address: string): void {
    const entry = this.#touch(key) ?? { host: [], port: [] }
    if (entry[kind].includes(address)) return
    this.#entries.set(key, { ...entry, [kind]: [...entry[kind], address].slice(-addressesPerEntry) })
    this.#dirty = true
    if (this.#entries.size > this.#limit) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest)
        break
      }
    }
  }

  #touch(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry
  }
}

function agentKey({ identityKey, clientId }: AffinityOwner): string {
  return hash(`agent ${identityKey} ${clientId}`)
}

function tokenKey({ identityKey }: AffinityOwner): string {
  return hash(`token ${identityKey}`)
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
