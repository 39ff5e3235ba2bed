/**
 * What the programs of this folder are made of. They are plain JavaScript over dist/: what ships is tested, and the same
 * files run on every Node, of which 20 strips no types and hands no loader on to its threads.
 */
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { connect, createServer } from 'node:net'

/** @typedef {import('../../src/index.ts').DataPlane} DataPlane */
/** @typedef {import('../../src/index.ts').Endpoint} Endpoint */
/** @typedef {import('../../src/index.ts').Listener} Listener */
/** @typedef {import('../../src/index.ts').Join} Join */
/** @typedef {import('node:net').Socket} Socket */

const block = Buffer.alloc(256 << 10, 7)

/** The native data plane of this thread. */
export async function loadPlane() {
  const compiled = '../../dist/index.js'
  const { defaultDataPlane } = /** @type {typeof import('../../src/index.ts')} */ (await import(compiled))
  const plane = defaultDataPlane()
  if (plane.kind !== 'native') throw new Error('the native data plane does not run here')
  return plane
}

/**
 * A listener that keeps what it accepts.
 * @param {DataPlane} plane
 */
export async function startListener(plane) {
  /** @type {Endpoint[]} */
  const accepted = []
  /** @type {((endpoint: Endpoint) => void)[]} */
  const waiting = []
  const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
    for (const endpoint of batch) {
      const waits = waiting.shift()
      if (waits === undefined) accepted.push(endpoint)
      else waits(endpoint)
    }
  })
  if (listener.address.family === 'unix') throw new Error('expected an IP address')
  /** @returns {Promise<Endpoint>} */
  const next = () =>
    new Promise((resolve) => {
      const endpoint = accepted.shift()
      if (endpoint === undefined) waiting.push(resolve)
      else resolve(endpoint)
    })
  return { listener, port: listener.address.port, next }
}

/** A server of Node's on a free port of loopback: the private service, whose sockets wait in `sockets`. */
export async function startService() {
  /** @type {Socket[]} */
  const sockets = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an IP address')
  /** @returns {Promise<Socket>} */
  const next = async () => {
    for (;;) {
      const socket = sockets.shift()
      if (socket !== undefined) return socket
      await once(server, 'connection')
    }
  }
  return { server, port: address.port, next }
}

/**
 * A visitor's socket, connected.
 * @param {number} port
 */
export async function visit(port) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/**
 * Bulk from a socket for as long as it lives; what comes to it is thrown away.
 * @param {Socket} socket
 */
export function flood(socket) {
  const more = () => {
    while (!socket.destroyed && socket.writable && socket.write(block));
  }
  socket.on('drain', more)
  socket.resume()
  more()
}

/**
 * How many ends of pipes this process has (the engine keeps idle pipes), and how many sockets, epolls and the like. Files
 * don't count: Node forgets those that a thread's module loader had open when the thread was ended.
 */
export function descriptors() {
  let pipes = 0
  let others = 0
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const link = readlinkSync(`/proc/self/fd/${name}`)
      if (link.startsWith('pipe:')) pipes += 1
      else if (!link.startsWith('/')) others += 1
    } catch {
      // The listing's own descriptor.
    }
  }
  return { pipes, others }
}

/** How many threads of the engine this process has. */
export function engineThreads() {
  return readdirSync('/proc/self/task').filter((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8') === 'millrace\n'
    } catch {
      return false // ended meanwhile
    }
  }).length
}

/**
 * Resolves once a condition holds; rejects after a time that only a fault takes.
 * @param {() => boolean} holds
 * @param {() => string} what for the error
 */
export async function until(holds, what) {
  const late = performance.now() + 30_000
  while (!holds()) {
    if (performance.now() > late) throw new Error(`never came: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
