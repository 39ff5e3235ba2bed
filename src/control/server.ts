import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { MillraceError } from '../errors.ts'
import type { Logger } from '../observe/log.ts'
import { isAnswered } from './client.ts'
import { type ControlReply, type ControlRequest, readLine, writeLine } from './exchange.ts'

/**
 * Answers requests of one type. May use the socket itself before its reply (to pass descriptors, say), which nobody else
 * reads or writes meanwhile. What it throws becomes the reply's `error`.
 */
export type ControlHandler = (request: ControlRequest, socket: Socket) => Promise<ControlReply> | ControlReply

/** Settings of a {@link ControlServer}. */
export interface ControlServerOptions {
  /** The socket's file. Its folder is made if it isn't there. */
  readonly path: string
  /** By the `type` of requests. */
  readonly handlers: Readonly<Record<string, ControlHandler>>
  readonly log: Logger
  /** Takes the place of a living relay's socket, which has agreed to it. Default false: ERR_CONTROL_TAKEN. */
  readonly replace?: boolean
  /** The user id behind a connection; undefined when that can't be told. Default: it can't. */
  readonly userOf?: (socket: Socket) => number | undefined
  /** Clients at once; further ones are closed. Default 8. */
  readonly maxClients?: number
  /** How long a client may take for its next request, ms. Default 10 000. */
  readonly requestMs?: number
}

/**
 * The relay's control socket: requests and replies are lines of JSON, one after the other. The file's mode (0600) decides
 * who may ask; should somebody have changed it, processes of other users but root are still refused where they can be told.
 */
export class ControlServer {
  readonly #options: ControlServerOptions
  readonly #server: Server
  readonly #clients = new Set<Socket>()
  #inode = 0

  constructor(options: ControlServerOptions) {
    this.#options = options
    this.#server = createServer((socket) => this.#accept(socket))
    // A client that can't be accepted tries again.
    this.#server.on('error', () => undefined)
  }

  /**
   * Listens. A file that a dead relay left is replaced. Rejects with ERR_CONTROL_TAKEN (a living relay has it) or
   * ERR_CONTROL (the system refuses it).
   */
  static async open(options: ControlServerOptions): Promise<ControlServer> {
    const { path } = options
    if (options.replace !== true && (await isAnswered(path))) throw new MillraceError('ERR_CONTROL_TAKEN', path)
    const server = new ControlServer(options)
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await server.#listen()
    } catch (error) {
      server.#server.close()
      const why = error instanceof Error ? error.message : String(error)
      throw new MillraceError('ERR_CONTROL', `${path}: ${why}`, { cause: error })
    }
    return server
  }

  /** Takes no requests any more, and removes the file unless it is another relay's by now. Idempotent. */
  async close(): Promise<void> {
    this.#server.close()
    for (const client of this.#clients) client.destroy()
    const { path } = this.#options
    const inode = await stat(path).then(
      ({ ino }) => ino,
      () => -1,
    )
    if (inode === this.#inode) await rm(path, { force: true })
  }

  /** Bound under another name and moved: whoever finds the file can connect, and an old file goes in the same moment. */
  async #listen(): Promise<void> {
    const { path } = this.#options
    const temporary = `${path}.${randomBytes(3).toString('hex')}`
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      // bind(2) makes the file within the call; nobody else may connect from the first moment on.
      const umask = process.umask(0o177)
      try {
        this.#server.listen(temporary, 16, () => {
          this.#server.off('error', reject)
          resolve()
        })
      } finally {
        process.umask(umask)
      }
    })
    this.#server.unref()
    try {
      this.#inode = (await stat(temporary)).ino
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  #accept(socket: Socket): void {
    const { maxClients = 8 } = this.#options
    socket.on('error', () => undefined)
    if (this.#clients.size >= maxClients || !this.#isOurs(socket)) {
      socket.destroy()
      return
    }
    this.#clients.add(socket)
    socket.on('close', () => this.#clients.delete(socket))
    this.#serve(socket)
      .catch(() => undefined)
      .finally(() => socket.destroySoon())
  }

  #isOurs(socket: Socket): boolean {
    const { userOf, log } = this.#options
    const user = userOf?.(socket)
    if (user === undefined || user === 0 || user === process.geteuid?.()) return true
    log.warn(
      'control.stranger',
      { user },
      'a process of another user was refused: the mode of the control socket is 0600',
    )
    return false
  }

  async #serve(socket: Socket): Promise<void> {
    const { requestMs = 10_000 } = this.#options
    for (;;) {
      let request: Readonly<Record<string, unknown>> | undefined
      try {
        request = await readLine(socket, requestMs)
      } catch (error) {
        await writeLine(socket, refused(error))
        return
      }
      if (request === undefined) return
      await writeLine(socket, await this.#answer(request, socket))
    }
  }

  async #answer(request: Readonly<Record<string, unknown>>, socket: Socket): Promise<ControlReply> {
    const { handlers, log } = this.#options
    const { type } = request
    if (typeof type !== 'string' || !Object.hasOwn(handlers, type)) {
      return { ok: false, error: `requests are of type ${Object.keys(handlers).join(', ')}` }
    }
    log.debug('control.request', { type })
    try {
      return (await handlers[type]?.({ ...request, type }, socket)) ?? { ok: false }
    } catch (error) {
      return refused(error)
    }
  }
}

function refused(error: unknown): ControlReply {
  return { ok: false, error: error instanceof Error ? error.message : String(error) }
}
