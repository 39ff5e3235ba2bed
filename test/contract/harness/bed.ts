import type { Socket } from 'node:net'
import type { DataPlane, Endpoint, Join, JoinOptions } from '../../../src/dataplane/types.ts'
import type { Contestant } from './contestants.ts'
import { type CleanUp, Door } from './door.ts'
import { farPlane, type LaneSide, visitOf } from './lane-bed.ts'
import { Peer } from './peer.ts'
import { connectNode, NodeServer, type Transport } from './sockets.ts'
import { secure } from './tls-bed.ts'
import { within } from './wait.ts'

/** How an endpoint comes to be. `adopt` takes over a Node socket that a Node server or client made. */
export type Birth = 'listen' | 'dial' | 'adopt'

/** One side of a join under test. */
export interface Side {
  readonly transport: Transport
  readonly birth: Birth
  /** What the endpoint is in a TLS session with its peer. Default: it is plain. */
  readonly tls?: 'server' | 'client'
  /**
   * The endpoint is a visit on such a lane. Its peer is connected to the data plane at the lane's other end, which joins the
   * two.
   */
  readonly lane?: LaneSide
}

/** The two sides of a join under test. */
export interface Pairing {
  readonly name: string
  readonly a: Side
  readonly b: Side
}

/** A connected pair: the endpoint that the data plane owns and the peer at the far end. */
export interface Connected {
  readonly peer: Peer
  readonly endpoint: Endpoint
}

/** Two peers with whatever connects them: a join, or nothing at all for `direct`. */
export interface Bed {
  readonly a: Peer
  readonly b: Peer
  readonly join: Join | undefined
}

/** Bytes of either direction are told apart by these. */
export const seedOfA = 1
/** See {@link seedOfA}. */
export const seedOfB = 2

/** Endpoints that a join owns: the clean-up leaves those to it. */
const usedUp = new WeakSet<Endpoint>()

/** Makes a peer for a socket: 'a' sends what 'b' expects, and the other way round. */
export function peerOf(socket: Socket, side: 'a' | 'b', raw = socket): Peer {
  const [send, receive] = side === 'a' ? [seedOfA, seedOfB] : [seedOfB, seedOfA]
  return new Peer(socket, `peer ${side}`, send, receive, raw)
}

/** An endpoint that has just been born, and the raw Node socket at its far end (paused where Node allows it). */
export async function born(
  plane: DataPlane,
  side: Side,
): Promise<{ readonly endpoint: Endpoint; readonly socket: Socket }> {
  switch (side.birth) {
    case 'listen': {
      const door = await Door.open(plane, side.transport)
      const socket = await connectNode(door.target)
      const endpoint = await door.next()
      await door.close()
      return { endpoint, socket }
    }
    case 'dial': {
      const server = await NodeServer.listen(side.transport)
      const endpoint = await within(plane.dial(server.target), 'dial')
      const socket = await server.next()
      server.close()
      return { endpoint, socket }
    }
    case 'adopt': {
      const server = await NodeServer.listen(side.transport)
      const socket = await connectNode(server.target)
      const taken = await server.next()
      server.close()
      return { endpoint: plane.adopt(taken), socket }
    }
  }
}

/** The same with a peer on the socket, and TLS where the side has it. */
export async function connected(plane: DataPlane, side: Side, who: 'a' | 'b', t: CleanUp): Promise<Connected> {
  const far = side.lane && farPlane(plane, side.lane)
  const { endpoint: plain, socket } = await born(far ?? plane, side)
  socket.setNoDelay(true)
  const secured = side.tls === undefined ? undefined : await secure(plane, plain, socket, side.tls)
  const direct = secured?.endpoint ?? plain
  const endpoint = side.lane && far ? await visitOf(plane, far, side.lane, direct, t) : direct
  const peer = started(peerOf(secured?.session ?? socket, who, socket))
  t.after(() => {
    socket.destroy()
    if (!usedUp.has(endpoint)) endpoint.destroy('reset')
  })
  return { peer, endpoint }
}

/** Two peers connected to each other: what the kernel itself does. */
export async function directly(transport: Transport, t: CleanUp): Promise<Bed> {
  const server = await NodeServer.listen(transport)
  const socketA = await connectNode(server.target)
  const socketB = await server.next()
  server.close()
  socketB.setNoDelay(true)
  t.after(() => {
    socketA.destroy()
    socketB.destroy()
  })
  return { a: peerOf(socketA, 'a'), b: started(peerOf(socketB, 'b')), join: undefined }
}

/** A join of the pairing with its two peers. `prepare` runs between birth and join. */
export async function joined(
  contestant: Contestant,
  pairing: Pairing,
  t: CleanUp,
  options: JoinOptions = {},
  prepare: (a: Connected, b: Connected) => Promise<void> | void = () => undefined,
): Promise<Bed> {
  if (contestant.plane === undefined) return await directly(pairing.a.transport, t)
  const a = await connected(contestant.plane, pairing.a, 'a', t)
  const b = await connected(contestant.plane, pairing.b, 'b', t)
  await prepare(a, b)
  return joinUp(contestant.plane, a, b, t, options)
}

/** Joins two connected pairs, and ends the join when the test is over. */
export function joinUp(plane: DataPlane, a: Connected, b: Connected, t: CleanUp, options: JoinOptions = {}): Bed {
  const join = plane.join(a.endpoint, b.endpoint, options)
  usedUp.add(a.endpoint)
  usedUp.add(b.endpoint)
  t.after(async () => {
    join.destroy()
    await within(join.done, 'done after destroy()')
  })
  return { a: a.peer, b: b.peer, join }
}

function started(peer: Peer): Peer {
  peer.socket.resume()
  return peer
}
