import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { DataPlane, Endpoint, Join, JoinOptions, TlsOptions } from '../../../src/dataplane/types.ts'
import { acceptPair, type Pair, socketPair } from '../pair.ts'

/** A join on the data plane and the sockets of its two peers. */
export interface JoinedPair {
  readonly join: Join
  readonly a: Pair
  readonly b: Pair
}

/** Accepts two connections and joins them. */
export async function joinedPair(plane: DataPlane, options?: JoinOptions): Promise<JoinedPair> {
  const [a, b] = await Promise.all([acceptPair(plane), acceptPair(plane)])
  return { a, b, join: plane.join(a.endpoint, b.endpoint, options) }
}

/** The same with adopted sockets: many at once need no listener of their own. */
export async function adoptedPair(plane: DataPlane, options?: JoinOptions): Promise<JoinedPair> {
  const [[nearA, farA], [nearB, farB]] = await Promise.all([socketPair(), socketPair()])
  const a = { endpoint: plane.adopt(nearA), peer: farA }
  const b = { endpoint: plane.adopt(nearB), peer: farB }
  return { a, b, join: plane.join(a.endpoint, b.endpoint, options) }
}

/** Two TLS endpoints of the data plane, which are each other's peers. */
export async function securedPair(plane: DataPlane): Promise<{ readonly near: Endpoint; readonly far: Endpoint }> {
  // Most of the child processes of these tests do without: certificates take longer to load than all the rest.
  const { makeCertificate } = await import('../certificate.ts')
  const { cert, key } = await makeCertificate(['native.test'])
  const server: TlsOptions = { role: 'server', cert, key }
  const client: TlsOptions = { role: 'client', serverName: 'native.test', trust: { kind: 'ca', pem: cert } }
  const [nearSocket, farSocket] = await socketPair()
  const [near, far] = await Promise.all([
    plane.secure(plane.adopt(nearSocket), server),
    plane.secure(plane.adopt(farSocket), client),
  ])
  return { near, far }
}

/** A server of Node's on a free port of loopback. */
export async function nodeServer(onSocket: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const listening = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {})
    onSocket(socket)
  })
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const address = listening.address()
  if (address === null || typeof address === 'string') throw new Error('expected an IP address')
  return { server: listening, port: address.port }
}
