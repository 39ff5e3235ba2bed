import { chmod, mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DataPlane, Endpoint, Listener } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { type ControlReply, findLine, maxControlBytes, parseRequest } from '../net/control-line.ts'

/** What a command does: its answer's fields. What it rejects with is the error that the caller reads. */
export type ControlHandlers = ReadonlyMap<string, () => Promise<Readonly<Record<string, unknown>>>>

/** Callers at once; the newest is turned away. */
const maxCallers = 16
/** For the whole of a request, ms. */
const requestMs = 5_000

/**
 * A unix socket by which commands on this machine talk with a running relay: one line of JSON each way. Only the relay's
 * user and root can connect: the file has mode 0600.
 */
export class ControlSocket {
  readonly #handlers: ControlHandlers
  readonly #callers = new Set<Endpoint>()
  #listener: Listener | undefined

  private constructor(handlers: ControlHandlers) {
    this.#handlers = handlers
  }

  /**
   * Listens at a path, in place of a relay that died there. Rejects with ERR_CONTROL_SOCKET when a live one is there, and
   * with ERR_LISTEN.
   */
  static async open(dataPlane: DataPlane, path: string, handlers: ControlHandlers): Promise<ControlSocket> {
    const socket = new ControlSocket(handlers)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    try {
      await socket.#listen(dataPlane, path)
    } catch (error) {
      if (!isInUse(error)) throw error
      if (await answers(dataPlane, path)) throw new MillraceError('ERR_CONTROL_SOCKET', path, { cause: error })
      await rm(path, { force: true })
      await socket.#listen(dataPlane, path)
    }
    await chmod(path, 0o600)
    return socket
  }

  /** Ends it, and removes the file. */
  async close(): Promise<void> {
    for (const caller of this.#callers) caller.destroy()
    await this.#listener?.close()
  }

  async #listen(dataPlane: DataPlane, path: string): Promise<void> {
    // At no moment may the file have more rights than in the end.
    const before = process.umask(0o177)
    try {
      this.#listener = await dataPlane.listen({ path }, { backlog: maxCallers }, (batch) => {
        for (const caller of batch) this.#serve(caller)
      })
    } finally {
      process.umask(before)
    }
  }

  #serve(caller: Endpoint): void {
    if (this.#callers.size >= maxCallers) {
      caller.destroy()
      return
    }
    this.#callers.add(caller)
    this.#answer(caller)
      .then((reply) => caller.write(Buffer.from(`${JSON.stringify(reply)}\n`)))
      .catch(() => undefined)
      .finally(() => {
        this.#callers.delete(caller)
        caller.destroy()
      })
  }

  /** Rejects when the caller says nothing, or leaves. */
  async #answer(caller: Endpoint): Promise<ControlReply> {
    const line = await caller.readHead(findLine, maxControlBytes, requestMs)
    const command = parseRequest(line.toString('utf8'))
    const handler = command === undefined ? undefined : this.#handlers.get(command)
    if (handler === undefined) return { ok: false, error: 'the relay does not know this command' }
    try {
      return { ok: true, ...(await handler()) }
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error.message : String(error) }
    }
  }
}

function isInUse(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && Reflect.get(cause, 'code') === 'EADDRINUSE'
}

async function answers(dataPlane: DataPlane, path: string): Promise<boolean> {
  try {
    const endpoint = await dataPlane.dial({ path })
    endpoint.destroy()
    return true
  } catch {
    return false
  }
}
