import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import type { Address, ListenAddress } from '../../../src/dataplane/types.ts'
import { within } from './wait.ts'

/** What carries the bytes. */
export type Transport = 'tcp' | 'tcp6' | 'unix'

let folder = ''
let paths = 0

/** A path for a unix socket that nobody uses; its folder goes when the process ends. */
export function freshPath(): string {
  if (folder === '') {
    folder = mkdtempSync(joinPath(tmpdir(), 'mr-'))
    process.on('exit', () => {
      rmSync(folder, { recursive: true, force: true })
    })
  }
  paths++
  return joinPath(folder, `${paths}.sock`)
}

/** Any free address of a transport on this machine. */
export function freshAddress(transport: Transport): ListenAddress {
  if (transport === 'unix') return { path: freshPath() }
  return { host: transport === 'tcp6' ? '::1' : '127.0.0.1', port: 0 }
}

/** The dial target that reaches a bound address. */
export function targetOf(address: Address): ListenAddress {
  return address.family === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
}

/** A Node server whose connections keep half-open and are not read from before they are wanted. */
export class NodeServer {
  readonly server: Server
  readonly #arrived: Socket[] = []
  readonly #waiting: ((socket: Socket) => void)[] = []

  private constructor(server: Server) {
    this.server = server
    server.on('connection', (socket: Socket) => {
      const waiter = this.#waiting.shift()
      if (waiter === undefined) this.#arrived.push(socket)
      else waiter(socket)
    })
  }

  /** Listens on any free address of the transport. */
  static async listen(transport: Transport): Promise<NodeServer> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
    const address = freshAddress(transport)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(address, resolve)
    })
    return new NodeServer(server)
  }

  /** Where to dial it. */
  get target(): ListenAddress {
    const address = this.server.address()
    if (address === null) throw new Error('the server is closed')
    return typeof address === 'string' ? { path: address } : { host: address.address, port: address.port }
  }

  /** The next connection, paused. */
  async next(): Promise<Socket> {
    const early = this.#arrived.shift()
    if (early !== undefined) return early
    const socket = new Promise<Socket>((resolve) => {
      this.#waiting.push(resolve)
    })
    return await within(socket, 'a connection to the test server')
  }

  /** Stops listening; connections live on. */
  close(): void {
    this.server.close()
    for (const socket of this.#arrived) socket.destroy()
  }
}

/** A connected Node client socket that keeps half-open. */
export async function connectNode(target: ListenAddress): Promise<Socket> {
  const socket = connect({ ...target, allowHalfOpen: true, noDelay: true })
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  await within(connected, 'connect')
  return socket
}

/** True when this machine has IPv6 on loopback. */
export async function hasIpv6(): Promise<boolean> {
  const server = createServer()
  return await new Promise<boolean>((resolve) => {
    server.once('error', () => {
      resolve(false)
    })
    server.listen(0, '::1', () => {
      const bound = (server.address() as AddressInfo).family === 'IPv6'
      server.close(() => {
        resolve(bound)
      })
    })
  })
}
