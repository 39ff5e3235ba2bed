/** Sessions kept for one server, as each opens one connection at most; servers that are remembered. */
const each = 8
const servers = 256

/** A TLS client's sessions of one trust, by address and name. The engine's are in native/engine/tls_sessions.h. */
export class ClientSessions {
  readonly #byServer = new Map<string, Buffer[]>()

  /**
   * The newest session of that server, which then is the caller's. A ticket that is used twice would let an onlooker link
   * the two connections (RFC 8446 appendix C.4).
   */
  take(server: string): Buffer | undefined {
    const sessions = this.#byServer.get(server)
    const newest = sessions?.pop()
    if (sessions?.length === 0) this.#byServer.delete(server)
    return newest
  }

  put(server: string, session: Buffer): void {
    const sessions = this.#byServer.get(server) ?? []
    sessions.push(session)
    if (sessions.length > each) sessions.shift()
    // The one used last is the last.
    this.#byServer.delete(server)
    this.#byServer.set(server, sessions)
    if (this.#byServer.size <= servers) return
    const [oldest] = this.#byServer.keys()
    if (oldest !== undefined) this.#byServer.delete(oldest)
  }
}
