import { strict as assert } from 'node:assert'
import type { Socket } from 'node:net'
import type { DataPlane, Endpoint } from '../../src/dataplane/types.ts'
import { type Connected, joinUp, peerOf } from './harness/bed.ts'
import { type Bench, contract, ended, everyPairing, joins, tcp, tlsPairings, unix } from './harness/contract.ts'
import { connectNode, NodeServer } from './harness/sockets.ts'
import { sleep } from './harness/wait.ts'

const fewer = { who: joins, on: [tcp, unix, ...tlsPairings] }

/** Two connected Node sockets: the one that will be adopted, and the peer at its far end. */
async function nodePair(bench: Bench, who: 'a' | 'b'): Promise<{ socket: Socket; peer: Connected['peer'] }> {
  const server = await NodeServer.listen(bench.pairing[who].transport)
  const peer = peerOf(await connectNode(server.target), who)
  const socket = await server.next()
  server.close()
  bench.t.after(() => {
    peer.socket.destroy()
    socket.destroy()
  })
  return { socket, peer }
}

function planeOf(bench: Bench): DataPlane {
  const { plane } = bench.contestant
  assert.ok(plane)
  return plane
}

for (const size of [1, 100, 65_536, 200 * 1024]) {
  contract(`heads: ${size} bytes given with adopt(), on both sides`, fewer, async (bench) => {
    const plane = planeOf(bench)
    const a = await nodePair(bench, 'a')
    const b = await nodePair(bench, 'b')
    const ends = [a, b].map(({ socket, peer }) => ({
      peer,
      endpoint: plane.adopt(socket, Buffer.from(peer.sendElsewhere(size))),
    }))
    const [endA, endB] = ends
    assert.ok(endA && endB)
    const bed = joinUp(plane, endA, endB, bench.t)
    await bed.a.send(50_000)
    bed.a.end()
    await bed.b.untilFin(size + 50_000)
    bed.b.end()
    await bed.a.untilFin(size)
    await ended(bed, { reason: 'eof', aToB: size + 50_000, bToA: size })
  })

  contract(`heads: ${size} bytes lying in a Node socket`, fewer, async (bench) => {
    const plane = planeOf(bench)
    const a = await nodePair(bench, 'a')
    const b = await nodePair(bench, 'b')
    // Read and put back, as a parser does that found the end of what it wanted.
    a.socket.unshift(Buffer.from(a.peer.sendElsewhere(size)))
    await a.peer.send(10_000)
    const bed = joinUp(
      plane,
      { peer: a.peer, endpoint: plane.adopt(a.socket) },
      { peer: b.peer, endpoint: plane.adopt(b.socket) },
      bench.t,
    )
    await bed.a.send(10_000)
    await bed.b.untilReceived(size + 20_000)
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: size + 20_000, bToA: 0 })
  })

  contract(`heads: ${size} bytes given back with unread()`, { who: joins }, async ({ open }) => {
    const bed = await open({}, async (a) => {
      await a.peer.send(size)
      const parts: Buffer[] = []
      for (let total = 0; total < size; ) {
        const part = await a.endpoint.read(30_000)
        total += part.length
        parts.push(part)
      }
      // In two parts, the later one first: the last to be given back is the first to be read.
      const all = Buffer.concat(parts)
      const cut = Math.floor(all.length / 3)
      a.endpoint.unread(all.subarray(cut))
      a.endpoint.unread(all.subarray(0, cut))
    })
    await bed.a.send(30_000)
    await bed.b.untilReceived(size + 30_000)
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: size + 30_000, bToA: 0 })
  })
}

contract('heads: the given head comes before what lies in the socket and in the kernel', fewer, async (bench) => {
  const plane = planeOf(bench)
  const a = await nodePair(bench, 'a')
  const b = await nodePair(bench, 'b')
  const head = Buffer.from(a.peer.sendElsewhere(1_000))
  a.socket.unshift(Buffer.from(a.peer.sendElsewhere(3_000)))
  await a.peer.send(5_000)
  a.peer.end()
  const endpoint = plane.adopt(a.socket, head)
  const bed = joinUp(plane, { peer: a.peer, endpoint }, { peer: b.peer, endpoint: plane.adopt(b.socket) }, bench.t)
  await bed.b.untilFin(9_000)
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 9_000, bToA: 0 })
})

contract('heads: readable before the join as well', fewer, async (bench) => {
  const plane = planeOf(bench)
  const a = await nodePair(bench, 'a')
  const head = Buffer.from(a.peer.sendElsewhere(100))
  const endpoint = plane.adopt(a.socket, head)
  bench.t.after(() => {
    endpoint.destroy('reset')
  })
  assert.deepEqual(await endpoint.read(30_000, 40), head.subarray(0, 40))
  assert.deepEqual(await endpoint.peek(60, 30_000), head.subarray(40))
})

contract('heads: bytes written before the join leave before its own', { who: joins }, async ({ open }) => {
  const written: Endpoint[] = []
  const bed = await open({}, (a, b) => {
    b.endpoint.write(a.peer.sendElsewhere(300))
    b.endpoint.write(a.peer.sendElsewhere(90_000))
    written.push(b.endpoint)
  })
  await bed.a.send(5_000)
  await bed.b.untilReceived(95_300)
  bed.a.end()
  bed.b.end()
  // Only what the join moved counts.
  await ended(bed, { reason: 'eof', aToB: 5_000, bToA: 0 })
})

contract('heads: what a read left over is the head', { who: joins, on: everyPairing }, async ({ open }) => {
  const bed = await open({}, async (a) => {
    await a.peer.send(20_000)
    const taken = await a.endpoint.readHead((bytes) => (bytes.length >= 7_000 ? 7_000 : 0), 65_536, 30_000)
    assert.equal(taken.length, 7_000)
    a.endpoint.unread(taken.subarray(6_000))
    a.endpoint.unread(taken.subarray(0, 6_000))
  })
  await bed.b.untilReceived(20_000)
  bed.a.end()
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 20_000, bToA: 0 })
})

contract('heads: a big head for a sink that does not read yet', fewer, async ({ open }) => {
  const size = 1_048_576
  const bed = await open({}, (a, b) => {
    b.peer.stall()
    for (let part = 0; part < 8; part++) {
      const bytes = Buffer.from(a.peer.sendElsewhere(size))
      parts.unshift(bytes)
    }
    for (const bytes of parts.splice(0)) a.endpoint.unread(bytes)
  })
  void bed.a.send(1_000_000)
  await sleep(50)
  bed.b.resume()
  await bed.b.untilReceived(8 * size + 1_000_000)
  bed.a.end()
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 8 * size + 1_000_000, bToA: 0 })
})

const parts: Buffer[] = []
