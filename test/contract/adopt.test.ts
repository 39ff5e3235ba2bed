import { strict as assert } from 'node:assert'
import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { joinUp, peerOf } from './harness/bed.ts'
import { type Bench, contract, ended, joins, tcp, unix } from './harness/contract.ts'
import { withCode } from './harness/raw.ts'
import { connectNode, NodeServer } from './harness/sockets.ts'
import { eventually, sleep } from './harness/wait.ts'

const where = { who: joins, on: [tcp, unix] }

/** A connected pair of Node sockets of the pairing's a side: `near` is what gets adopted. */
async function nodeSockets(bench: Bench): Promise<{ near: Socket; far: Socket }> {
  const server = await NodeServer.listen(bench.pairing.a.transport)
  const far = await connectNode(server.target)
  const near = await server.next()
  server.close()
  for (const socket of [near, far]) socket.on('error', () => undefined)
  bench.t.after(() => {
    near.destroy()
    far.destroy()
  })
  return { near, far }
}

contract('adopt: wrong input is refused before anything is taken', where, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  const { near, far } = await nodeSockets(bench)
  const stranger: unknown = new PassThrough()
  assert.throws(() => plane.adopt(stranger as Socket), withCode('ERR_SOCKET_TYPE'))
  assert.throws(() => plane.adopt(undefined as unknown as Socket), withCode('ERR_SOCKET_TYPE'))
  assert.throws(() => plane.adopt(new Socket()), withCode('ERR_SOCKET_DESTROYED'))
  // The socket itself is as good as before.
  far.write('still here')
  near.resume()
  const data = await new Promise<Buffer>((resolve) => {
    near.once('data', resolve)
  })
  assert.equal(data.toString(), 'still here')
})

contract('adopt: a connecting and a destroyed socket are refused', where, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  const server = await NodeServer.listen(bench.pairing.a.transport)
  const socket = new Socket()
  socket.connect(server.target)
  assert.throws(() => plane.adopt(socket), withCode('ERR_SOCKET_CONNECTING'))
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve)
  })
  socket.destroy()
  assert.throws(() => plane.adopt(socket), withCode('ERR_SOCKET_DESTROYED'))
  ;(await server.next()).destroy()
  server.close()
})

contract('adopt: a socket with unsent writes is refused, and keeps them', where, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  const { near, far } = await nodeSockets(bench)
  far.pause()
  const size = 40 * 1_048_576
  near.write(Buffer.alloc(size))
  assert.throws(() => plane.adopt(near), withCode('ERR_SOCKET_PENDING_WRITES'))
  let received = 0
  far.on('data', (part: Buffer) => {
    received += part.length
  })
  far.resume()
  await eventually('every byte of them', () => received === size)
})

contract('adopt: a socket whose FIN is on its way is refused', where, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  const { near } = await nodeSockets(bench)
  near.end()
  assert.throws(() => plane.adopt(near), withCode('ERR_SOCKET_ENDED'))
})

contract('pitfall 24: a TLSSocket is refused, and not harmed', where, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  const { near } = await nodeSockets(bench)
  const secured = new TLSSocket(near, { isServer: true })
  secured.on('error', () => undefined)
  assert.throws(() => plane.adopt(secured), withCode('ERR_SOCKET_TLS'))
  assert.equal(secured.destroyed, false)
  secured.destroy()
})

contract('adopt: a socket is adopted once', where, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  const { near, far } = await nodeSockets(bench)
  const endpoint = plane.adopt(near)
  assert.throws(() => plane.adopt(near), withCode('ERR_SOCKET_DESTROYED'))
  far.write('after')
  assert.equal((await endpoint.read(30_000)).toString(), 'after')
  endpoint.destroy()
})

contract('pitfall 23: what pause() let through is delivered', where, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  // Flowing server sockets: libuv reads once more before pause() has an effect, and Node keeps those bytes.
  const a = await nodeSockets(bench)
  const b = await nodeSockets(bench)
  const peerA = peerOf(a.far, 'a')
  const peerB = peerOf(b.far, 'b')
  for (const socket of [a.near, b.near]) {
    socket.resume()
    socket.pause()
  }
  await peerA.send(150_000)
  await peerB.send(70_000)
  await sleep(50)
  const bed = joinUp(
    plane,
    { peer: peerA, endpoint: plane.adopt(a.near) },
    { peer: peerB, endpoint: plane.adopt(b.near) },
    bench.t,
  )
  await bed.b.untilReceived(150_000)
  await bed.a.untilReceived(70_000)
  await bed.a.send(50_000)
  bed.a.end()
  await bed.b.untilFin(200_000)
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 200_000, bToA: 70_000 })
})

contract('adopt: a socket that had ended before', where, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  const a = await nodeSockets(bench)
  const b = await nodeSockets(bench)
  const peerA = peerOf(a.far, 'a')
  const peerB = peerOf(b.far, 'b')
  // Node has seen the FIN and the bytes before it already; they lie in the socket object.
  await peerA.send(5_000)
  peerA.end()
  a.near.on('readable', () => undefined)
  await eventually('Node has read all', () => a.near.readableLength === 5_000)
  await sleep(30)
  const bed = joinUp(
    plane,
    { peer: peerA, endpoint: plane.adopt(a.near) },
    { peer: peerB, endpoint: plane.adopt(b.near) },
    bench.t,
  )
  await bed.b.untilFin(5_000)
  await bed.b.send(100)
  bed.b.end()
  await bed.a.untilFin(100)
  await ended(bed, { reason: 'eof', aToB: 5_000, bToA: 100 })
})
