import { strict as assert } from 'node:assert'
import type { Path } from '../../src/dataplane/types.ts'
import type { Contestant } from './harness/contestants.ts'
import { adopted, contract, ended, joins, tcp, tcpToUnix, tlsPairings, unix } from './harness/contract.ts'
import { eventually, turns } from './harness/wait.ts'

const bulk = 16 * 1_048_576

/** The paths that plain sockets may take in each mode. */
function legalPaths(contestant: Contestant): readonly Path[] {
  switch (contestant.mode) {
    case 'native':
      return ['splice', 'copy']
    case 'copy':
      return ['copy']
    case 'splice':
      return ['splice', 'copy']
    case 'stream':
    case 'direct':
      return ['stream']
  }
}

contract('contract/4 counters follow what was received, and only grow', { who: joins }, async ({ open }) => {
  const bed = await open()
  const { join } = bed
  assert.ok(join)
  assert.deepEqual([join.bytes.aToB, join.bytes.bToA], [0n, 0n])
  let total = 0
  for (const size of [1, 1_000, 70_000, 300_000]) {
    total += size
    await Promise.all([bed.a.send(size), bed.b.send(size)])
    await bed.b.untilReceived(total)
    await bed.a.untilReceived(total)
    const wanted = BigInt(total)
    await eventually('live counters are exact', () => join.bytes.aToB === wanted && join.bytes.bToA === wanted)
  }
  bed.a.end()
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: total, bToA: total })
})

contract(
  'contract/4 counters grow while bytes flow',
  { who: joins, on: [tcp, unix, adopted, ...tlsPairings] },
  async ({ open }) => {
    const bed = await open()
    const { join } = bed
    assert.ok(join)
    const seen: bigint[] = []
    let total = 0
    // As often as it takes to look at them six times while they move: on a loaded machine all may pass between two looks.
    while (seen.length <= 5) {
      total += bulk
      const sending = bed.a.send(bulk)
      while (bed.b.received < total) {
        const now = join.bytes.aToB
        assert.ok(now >= (seen.at(-1) ?? 0n), 'never smaller')
        assert.ok(now <= BigInt(total), 'never more than was sent')
        if (now % BigInt(bulk) !== 0n && now !== seen.at(-1)) seen.push(now)
        await turns(1)
        await bed.b.until('no fault', () => true)
        assert.ok(!bed.b.closed, bed.b.describe())
      }
      await sending
    }
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: total, bToA: 0 })
    assert.deepEqual([join.bytes.aToB, join.bytes.bToA], [BigInt(total), 0n], 'readable after the end')
  },
)

contract('contract/4 paths and spliced bytes are true', { who: joins, on: [tcp, unix, tcpToUnix] }, async (bench) => {
  const { contestant } = bench
  const bed = await bench.open()
  await bed.a.send(bulk)
  await bed.b.untilReceived(bulk)
  const legal = legalPaths(contestant)
  assert.ok(bed.join && legal.includes(bed.join.path.aToB), bed.join?.path.aToB)
  bed.a.end()
  bed.b.end()
  const result = await ended(bed, { reason: 'eof', aToB: bulk, bToA: 0 })
  assert.ok(result)
  assert.ok(legal.includes(result.path.aToB) && legal.includes(result.path.bToA), JSON.stringify(result.path))
  assert.equal(result.spliced.bToA, 0n)
  const refused = Object.entries(contestant.plane?.stats().spliceFallbacks ?? {})
  if (contestant.mode === 'copy' || contestant.mode === 'stream') {
    assert.equal(result.spliced.aToB, 0n)
  } else if (refused.length > 0) {
    bench.t.diagnostic(`splice is refused here: ${JSON.stringify(refused)}`)
  } else {
    assert.ok(result.spliced.aToB > BigInt(bulk / 2), `${result.spliced.aToB} of ${bulk} bytes spliced`)
    assert.equal(result.path.aToB, 'splice')
  }
})

contract('contract/4 a join without options tells its times', { who: joins, on: [tcp] }, async ({ open }) => {
  const began = performance.now()
  const bed = await open()
  await bed.a.send(1)
  await bed.b.untilReceived(1)
  bed.a.end()
  bed.b.end()
  const result = await ended(bed, { reason: 'eof', aToB: 1, bToA: 0 })
  assert.ok(result)
  assert.equal(result.errno, '')
  assert.ok(result.durationMs <= performance.now() - began + 2, `${result.durationMs} ms`)
})
