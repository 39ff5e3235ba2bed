import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { DataPlane, Endpoint } from '../../src/dataplane/types.ts'

/** An endpoint of a data plane and the plain Node socket of its peer. */
export interface Pair {
  readonly endpoint: Endpoint
  readonly peer: Socket
}

/** Accepts one loopback connection on the data plane. The peer is paused: nothing of it is lost before a test reads. */
export async function acceptPair(plane: DataPlane): Promise<Pair> {
  const { promise, resolve } = deferred<Endpoint>()
  const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, ([endpoint]) => endpoint && resolve(endpoint))
  if (listener.address.family === 'unix') throw new Error('expected an IP address')
  const peer = connect({ host: '127.0.0.1', port: listener.address.port, allowHalfOpen: true })
  peer.on('error', () => {})
  peer.pause()
  const endpoint = await promise
  await listener.close()
  return { endpoint, peer }
}

/** Two connected Node sockets, both paused and half-open. */
export async function socketPair(): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an IP address')
  const far = connect({ host: '127.0.0.1', port: address.port, allowHalfOpen: true })
  far.pause()
  const [near] = (await once(server, 'connection')) as [Socket]
  server.close()
  if (far.connecting) await once(far, 'connect')
  for (const socket of [near, far]) socket.on('error', () => {})
  return [near, far]
}

/** Reads a socket to its end, and leaves it open (`for await` would destroy it). Rejects when it fails. */
export function readAll(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => resolve(Buffer.concat(chunks)))
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed before its end')))
    socket.resume()
  })
}

/** Resolves with the code of the socket's error, or '' when it closes without one. */
export function failure(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.on('error', (error) => resolve('code' in error ? String(error.code) : error.message))
    socket.on('close', () => resolve(''))
    socket.resume()
  })
}

/** A promise and its resolver. */
export function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
