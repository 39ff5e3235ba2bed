import { strict as assert } from 'node:assert'
import type { DataPlane } from '../../src/dataplane/types.ts'
import type { Bed } from './harness/bed.ts'
import { born, connected, joinUp } from './harness/bed.ts'
import type { Contestant } from './harness/contestants.ts'
import { adopted, type Bench, contract, ended, joins, tcp, tcpToUnix, tlsPairings, unix } from './harness/contract.ts'
import { Door } from './harness/door.ts'
import { backTo, countsDescriptors, descriptors, type Ledger, ledger } from './harness/ledger.ts'
import { connectNode, freshPath } from './harness/sockets.ts'
import { eventually, turns } from './harness/wait.ts'

const where = {
  who: (one: Parameters<typeof joins>[0]) => countsDescriptors && joins(one),
  lanes: 'no' as const,
  on: [tcp, unix, adopted, ...tlsPairings],
}
const onTcp = { ...where, on: [tcp, ...tlsPairings] }

/** The plane, and what it holds once everything that is made only once has been made. */
async function warmed(bench: Bench): Promise<{ readonly plane: DataPlane; readonly base: Ledger }> {
  const { plane } = bench.contestant
  assert.ok(plane)
  const bed = await bench.open()
  bed.a.end()
  bed.b.end()
  await ended(bed, { reason: 'eof' })
  await bed.a.until('closed', () => bed.a.closed)
  await bed.b.until('closed', () => bed.b.closed)
  await eventually('nothing is left of the warm-up', () => plane.stats().joins === 0 && plane.stats().endpoints === 0)
  await turns(10)
  let before = descriptors()
  await eventually('the count is at rest', () => {
    const now = descriptors()
    const same = now === before
    before = now
    return same
  })
  return { plane, base: ledger(plane) }
}

contract(
  'contract/7 an idle join owns two descriptors, and no pipe',
  { ...where, on: [tcp, unix, tcpToUnix, adopted, ...tlsPairings] },
  async (bench) => {
    const { plane, base } = await warmed(bench)
    const pipes = plane.stats().pipes
    const beds: Bed[] = []
    for (let count = 0; count < 20; count++) beds.push(await bench.open())
    const stats = plane.stats()
    assert.equal(stats.joins, 20)
    // Each join has two, and each of its two peers, which live in this process, one.
    await backTo({ ...base, descriptors: base.descriptors + 80, joins: 20, endpoints: stats.endpoints }, plane)
    assert.equal(plane.stats().pipes, pipes)
    for (const bed of beds) {
      await bed.a.send(100)
      await bed.b.send(100)
      await bed.a.untilReceived(100)
      await bed.b.untilReceived(100)
    }
    await backTo({ ...base, descriptors: base.descriptors + 80, joins: 20, endpoints: stats.endpoints }, plane)
    for (const bed of beds) {
      bed.a.end()
      bed.b.end()
      await ended(bed, { reason: 'eof', aToB: 100, bToA: 100 })
    }
    await backTo(base, plane)
  },
)

contract(
  'contract/7 after 200 joins of every ending nothing is left',
  { ...where, on: [tcp, unix, ...tlsPairings] },
  async (bench) => {
    const { plane, base } = await warmed(bench)
    const endings: readonly ((bed: Bed) => void)[] = [
      (bed) => {
        bed.a.end()
        bed.b.end()
      },
      (bed) => {
        bed.a.reset()
      },
      (bed) => {
        bed.b.reset()
      },
      (bed) => {
        bed.join?.destroy()
      },
      (bed) => {
        bed.a.end()
        bed.b.reset()
      },
      (bed) => {
        void bed.a.send(300_000)
        void bed.b.send(300_000)
        bed.join?.destroy()
      },
      (bed) => {
        void bed.a.send(300_000)
        bed.b.reset()
      },
    ]
    for (let round = 0; round < 200; round += endings.length) {
      const beds = await Promise.all(
        endings.map(async (finish) => {
          const bed = await bench.open()
          for (const peer of [bed.a, bed.b]) {
            void peer.untilOver().then(() => {
              peer.end()
            })
          }
          await bed.a.send(2_000)
          await bed.b.untilReceived(2_000)
          finish(bed)
          return bed
        }),
      )
      for (const bed of beds) await ended(bed, { reason: ['eof', 'reset', 'aborted'] })
      for (const bed of beds) {
        bed.a.socket.destroy()
        bed.b.socket.destroy()
      }
    }
    await backTo(base, plane)
  },
)

contract('contract/7 bulk leaves no pipe with its join', onTcp, async (bench) => {
  const { plane, base } = await warmed(bench)
  for (let round = 0; round < 4; round++) {
    const bed = await bench.open()
    void bed.a.send(4_000_000)
    void bed.b.send(4_000_000)
    await bed.b.untilReceived(4_000_000)
    await bed.a.untilReceived(4_000_000)
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 4_000_000, bToA: 4_000_000 })
  }
  await backTo(base, plane)
  assert.ok(plane.stats().pipes <= 64, `${plane.stats().pipes} pipes are kept`)
})

contract('contract/7 endpoints destroyed before a join leave nothing', where, async (bench) => {
  const { plane, base } = await warmed(bench)
  for (const how of ['fin', 'reset', undefined] as const) {
    for (const side of [bench.pairing.a, bench.pairing.b]) {
      for (let count = 0; count < 10; count++) {
        const { endpoint, socket } = await born(plane, side)
        socket.on('error', () => undefined)
        if (count % 2 === 0) endpoint.write(Buffer.from('goodbye'))
        if (count % 3 === 0) socket.destroy()
        endpoint.destroy(how)
        endpoint.destroy(how)
        socket.resume()
        socket.end()
      }
    }
  }
  await backTo(base, plane)
})

// The lingering close is one for all modes of the engine: two contestants tell as much as four.
const lingering = {
  ...onTcp,
  who: ({ mode }: Contestant) => countsDescriptors && (mode === 'native' || mode === 'stream'),
}

contract('contract/7 a peer that never closes is not waited for', lingering, async (bench) => {
  const { plane, base } = await warmed(bench)
  const sockets = []
  for (let count = 0; count < 5; count++) {
    const { endpoint, socket } = await born(plane, bench.pairing.a)
    socket.on('error', () => undefined)
    endpoint.destroy('fin')
    sockets.push(socket)
  }
  // The lingering close takes 2 s; the peers still hold their five sockets.
  await backTo({ ...base, descriptors: base.descriptors + 5 }, plane)
  for (const socket of sockets) socket.destroy()
  await backTo(base, plane)
})

contract('contract/7 dials that fail leave nothing', onTcp, async (bench) => {
  const { plane, base } = await warmed(bench)
  const door = await Door.open(plane, 'tcp')
  const closed = door.target
  await door.close()
  const failing = []
  for (let count = 0; count < 20; count++) {
    failing.push(plane.dial(closed), plane.dial({ path: freshPath() }))
    failing.push(plane.dial(closed, { signal: AbortSignal.abort() }))
  }
  for (const outcome of await Promise.allSettled(failing)) assert.equal(outcome.status, 'rejected')
  await backTo(base, plane)
})

contract('contract/7 handshakes that fail leave nothing', onTcp, async (bench) => {
  const { plane, base } = await warmed(bench)
  const options = { role: 'client', serverName: 'localhost', trust: { kind: 'none' } } as const
  const failing = []
  for (let count = 0; count < 9; count++) {
    const { endpoint, socket } = await born(plane, bench.pairing.a)
    socket.on('error', () => undefined)
    if (count % 3 === 0) socket.end('this is not TLS\r\n\r\n')
    else if (count % 3 === 1) socket.destroy()
    const outcome = plane.secure(endpoint, { ...options, handshakeTimeoutMs: 400 }).then(
      () => 'secured',
      () => 'failed',
    )
    failing.push(outcome.finally(() => socket.destroy()))
  }
  for (const outcome of failing) assert.equal(await outcome, 'failed')
  await backTo(base, plane)
})

contract('contract/7 listeners leave nothing, nor what nobody took', where, async (bench) => {
  const { plane, base } = await warmed(bench)
  for (let round = 0; round < 5; round++) {
    const door = await Door.open(plane, bench.pairing.a.transport)
    const sockets = await Promise.all(Array.from({ length: 8 }, () => connectNode(door.target)))
    for (let count = 0; count < 8; count++) (await door.next()).destroy('reset')
    await door.close()
    for (const socket of sockets) {
      socket.on('error', () => undefined)
      socket.resume()
      socket.end()
      socket.destroy()
    }
  }
  await backTo(base, plane)
})

contract('contract/7 joins that end by a limit leave nothing', onTcp, async (bench) => {
  const { plane, base } = await warmed(bench)
  const beds: Bed[] = []
  for (let count = 0; count < 6; count++) {
    const a = await connected(plane, bench.pairing.a, 'a', bench.t)
    const b = await connected(plane, bench.pairing.b, 'b', bench.t)
    const options = [{ idleMs: 100 }, { maxDurationMs: 200 }, { halfClosedIdleMs: 100 }][count % 3] ?? {}
    const bed = joinUp(plane, a, b, bench.t, options)
    bed.a.end()
    beds.push(bed)
  }
  for (const bed of beds) {
    await ended(bed, { reason: ['idle', 'limit', 'half-closed-idle'] })
    bed.a.socket.destroy()
    bed.b.socket.destroy()
  }
  await backTo(base, plane)
})
