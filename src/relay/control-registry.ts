import { createHash } from 'node:crypto'
import { constantTimeEqual, newClientId } from '../wire/ids.ts'
import type { ControlSession } from './control-session.ts'
import type { Identity } from './tokens.ts'

/** Ids that other ends gave out: 1.x servers give 32 hex digits. Shorter ones would be easy to guess. */
const clientIdPattern = /^[0-9A-Za-z_-]{16,64}$/

/**
 * The live control sessions by client id. Looked up by a digest of the id: a client id can be a secret, and a lookup
 * by the id itself could tell by its time how much of a guess is right.
 */
export class ControlRegistry {
  readonly #sessions = new Map<string, ControlSession>()

  /** Live sessions. */
  get size(): number {
    return this.#sessions.size
  }

  /** All live sessions. */
  [Symbol.iterator](): IterableIterator<ControlSession> {
    return this.#sessions.values()
  }

  /** The live session with this client id. */
  find(clientId: string): ControlSession | undefined {
    return this.#sessions.get(digest(clientId))
  }

  /**
   * The client id for an agent that asks for `wanted`: that one, unless it is malformed or belongs to a live session
   * of another identity; then a new one. `evicts` is the live session that the agent takes over from.
   */
  admit(wanted: string, identity: Identity): { readonly clientId: string; readonly evicts?: ControlSession } {
    if (!clientIdPattern.test(wanted)) return { clientId: newClientId() }
    const live = this.find(wanted)
    if (live === undefined) return { clientId: wanted }
    return constantTimeEqual(live.identity.key, identity.key)
      ? { clientId: wanted, evicts: live }
      : { clientId: newClientId() }
  }

  /** Adds a session. There must be none with its client id. */
  add(session: ControlSession): void {
    this.#sessions.set(digest(session.clientId), session)
  }

  /** Removes a session, unless another has taken its place. */
  remove(session: ControlSession): void {
    const key = digest(session.clientId)
    if (this.#sessions.get(key) === session) this.#sessions.delete(key)
  }
}

function digest(clientId: string): string {
  return createHash('sha256').update(clientId).digest('base64')
}
