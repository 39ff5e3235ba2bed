import { strict as assert } from 'node:assert'
import type { Endpoint } from '../../src/dataplane/types.ts'
import { MillraceError } from '../../src/errors.ts'
import { seedOfA } from './harness/bed.ts'
import { contract, ended, everyPairing, joins, tcp, tlsPairings, unix } from './harness/contract.ts'
import { patternAt } from './harness/pattern.ts'
import { sleep, within } from './harness/wait.ts'

const where = { who: joins, on: everyPairing }
const fewer = { who: joins, on: [tcp, unix, ...tlsPairings] }

contract('contract/5 maxBytes: exactly so many, no FIN, the rest is discarded', where, async ({ open }) => {
  const bed = await open({ aToB: { maxBytes: 100_000 } })
  await bed.a.send(100_000)
  await bed.b.untilReceived(100_000)
  await bed.a.send(20_000)
  await bed.b.send(40_000)
  await bed.a.untilReceived(40_000)
  await sleep(50)
  assert.deepEqual([bed.b.received, bed.b.events], [100_000, []], 'no byte and no FIN beyond')
  bed.b.end()
  await bed.a.untilFin(40_000)
  await ended(bed, { reason: 'eof', aToB: 100_000, bToA: 40_000 })
})

contract('contract/5 maxBytes in the middle of a burst', fewer, async ({ open }) => {
  const bed = await open({ aToB: { maxBytes: 3_000_001 }, bToA: { maxBytes: 2 } })
  await bed.a.send(3_040_000)
  await bed.b.untilReceived(3_000_001)
  assert.deepEqual(bed.b.events, [])
  await bed.b.send(1)
  await bed.a.untilReceived(1)
  await bed.b.send(1)
  await bed.a.untilReceived(2)
  await ended(bed, { reason: 'eof', aToB: 3_000_001, bToA: 2 })
  await bed.b.until('the end', () => bed.b.events.length > 0)
  assert.equal(bed.b.received, 3_000_001)
})

contract('contract/5 maxBytes 0 carries nothing', fewer, async ({ open }) => {
  const bed = await open({ aToB: { maxBytes: 0 } })
  await bed.a.send(500)
  await bed.b.send(9)
  await bed.a.untilReceived(9)
  assert.deepEqual([bed.b.received, bed.b.events], [0, []])
  bed.b.end()
  await bed.a.untilFin(9)
  await ended(bed, { reason: 'eof', aToB: 0, bToA: 9 })
})

contract('contract/5 maxBytes counts the head', fewer, async ({ open }) => {
  const bed = await open({ aToB: { maxBytes: 1_000 } }, async (a) => {
    await a.peer.send(600)
    a.endpoint.unread(await a.endpoint.read(30_000))
  })
  await bed.a.send(600)
  await bed.b.untilReceived(1_000)
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 1_000, bToA: 0 })
})

contract('contract/5 a head longer than maxBytes is cut', fewer, async ({ open }) => {
  const bed = await open({ aToB: { maxBytes: 250 } }, async (a) => {
    await a.peer.send(600)
    assert.equal((await a.endpoint.peek(600, 30_000)).length, 600)
  })
  await bed.b.untilReceived(250)
  await bed.b.send(1)
  await bed.a.untilReceived(1)
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 250, bToA: 1 })
  assert.equal(bed.b.received, 250)
})

contract('contract/5 a source that ends before maxBytes is a FIN', fewer, async ({ open }) => {
  const bed = await open({ aToB: { maxBytes: 1_000 } })
  await bed.a.send(999)
  bed.a.end()
  await bed.b.untilFin(999)
  await bed.b.send(5)
  bed.b.end()
  await bed.a.untilFin(5)
  await ended(bed, { reason: 'eof', aToB: 999, bToA: 5 })
})

contract('contract/5 the source may end behind maxBytes, unforwarded', fewer, async ({ open }) => {
  const bed = await open({ aToB: { maxBytes: 10 } })
  await bed.a.send(10)
  await bed.b.untilReceived(10)
  bed.a.end()
  await bed.b.send(1_000)
  await bed.a.untilReceived(1_000)
  assert.deepEqual(bed.b.events, [])
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 10, bToA: 1_000 })
})

/** Moves `total` bytes through a direction that the caller drives. */
async function carry(source: Endpoint, sink: Endpoint, total: number): Promise<void> {
  for (let moved = 0; moved < total; ) {
    const bytes = await source.read(30_000)
    assert.ok(bytes.length > 0, 'the source goes on')
    moved += bytes.length
    sink.write(bytes)
    await sink.flushed()
  }
}

for (const how of ['fin', 'no-fin'] as const) {
  contract(`contract/5 drive: 'caller' ends with ${how}`, where, async ({ open }) => {
    const ends: Endpoint[] = []
    const bed = await open({ aToB: { drive: 'caller' } }, (a, b) => {
      ends.push(a.endpoint, b.endpoint)
    })
    const [source, sink] = ends
    assert.ok(source && sink && bed.join)
    const carried = carry(source, sink, 200_000)
    await bed.a.send(200_000)
    await bed.b.send(300_000)
    await bed.a.untilReceived(300_000)
    await within(carried, 'the carried direction')
    bed.join.finish('aToB', how)
    await bed.b.untilReceived(200_000)
    if (how === 'fin') await bed.b.untilFin(200_000)
    await bed.b.send(1)
    await bed.a.untilReceived(300_001)
    assert.equal(bed.b.ended, how === 'fin')
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 200_000, bToA: 300_001 })
  })
}

contract("contract/5 drive: 'caller' may send what the source never said", fewer, async ({ open }) => {
  const ends: Endpoint[] = []
  const bed = await open({ aToB: { drive: 'caller' } }, (a, b) => {
    ends.push(a.endpoint, b.endpoint)
  })
  const [source, sink] = ends
  assert.ok(source && sink && bed.join)
  // Written just before finish(): both the bytes and the FIN arrive, in order.
  sink.write(patternAt(seedOfA, 0, 150_000))
  bed.join.finish('aToB', 'fin')
  await bed.b.untilFin(150_000)
  await bed.b.send(5)
  bed.b.end()
  await bed.a.untilFin(5)
  await ended(bed, { reason: 'eof', aToB: 150_000, bToA: 5 })
})

contract("contract/5 drive: 'caller' sees the end and the reset of its source", fewer, async ({ open, pairing }) => {
  const ends: Endpoint[] = []
  const bed = await open({ aToB: { drive: 'caller' } }, (a, b) => {
    ends.push(a.endpoint, b.endpoint)
  })
  const [source] = ends
  assert.ok(source && bed.join)
  bed.a.end()
  assert.equal((await within(source.read(30_000), 'read at the end')).length, 0)
  bed.join.finish('aToB', 'fin')
  await bed.b.untilFin(0)
  bed.b.reset()
  if (pairing === tcp) await bed.a.untilReset()
  await ended(bed, { reason: pairing === tcp ? 'reset' : ['reset', 'eof'], aToB: 0, bToA: 0 })
})

contract("contract/5 a pending read of drive: 'caller' fails when the join ends", fewer, async ({ open }) => {
  const ends: Endpoint[] = []
  const bed = await open({ aToB: { drive: 'caller' } }, (a) => {
    ends.push(a.endpoint)
  })
  const [source] = ends
  assert.ok(source)
  const failed = assert.rejects(
    source.read(Number.POSITIVE_INFINITY),
    (error) =>
      error instanceof MillraceError && (error.code === 'ERR_ENDPOINT_CLOSED' || error.code === 'ERR_ENDPOINT_RESET'),
  )
  bed.join?.destroy()
  await within(failed, 'the pending read')
  await ended(bed, { reason: 'aborted', aToB: 0, bToA: 0 })
})

contract('pitfall 9: a reply reaches a peer that sends beyond maxBytes', fewer, async ({ open }) => {
  for (const when of ['before', 'after']) {
    const bed = await open({ aToB: { maxBytes: 100 } })
    await bed.a.send(100)
    await bed.b.untilReceived(100)
    bed.a.stall()
    if (when === 'before') await bed.a.send(16_000)
    await bed.b.send(100_000)
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 100, bToA: 100_000 })
    if (when === 'after') await bed.a.send(16_000)
    await sleep(50)
    bed.a.resume()
    await bed.a.untilFin(100_000)
  }
})

contract("contract/5 drive: 'caller' does not count what was written before", fewer, async ({ open }) => {
  const ends: Endpoint[] = []
  const bed = await open({ aToB: { drive: 'caller' } }, (a, b) => {
    b.peer.stall()
    b.endpoint.write(a.peer.sendElsewhere(1_000_000))
    ends.push(b.endpoint)
  })
  const [sink] = ends
  assert.ok(sink && bed.join)
  sink.write(bed.a.sendElsewhere(1_234))
  bed.join.finish('aToB', 'fin')
  await sleep(20)
  bed.b.resume()
  await bed.b.untilFin(1_001_234)
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 1_234, bToA: 0 })
})
