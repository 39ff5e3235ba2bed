import { strict as assert } from 'node:assert'
import {
  adopted,
  contract,
  ended,
  joins,
  tcp,
  tcpToUnix,
  tlsPairings,
  together,
  unix,
  unixToTcp,
} from './harness/contract.ts'
import { settled, sleep, turns } from './harness/wait.ts'

contract('contract/2 a ends first, b goes on', {}, async ({ open }) => {
  const bed = await open()
  await bed.a.send(100_000)
  bed.a.end()
  await bed.b.untilFin(100_000)
  await bed.b.send(1)
  await bed.a.untilReceived(1)
  await bed.b.send(300_000)
  await bed.a.untilReceived(300_001)
  assert.equal(bed.a.ended, false, 'b has not ended yet')
  bed.b.end()
  await bed.a.untilFin(300_001)
  await ended(bed, { reason: 'eof', aToB: 100_000, bToA: 300_001 })
})

contract('contract/2 b ends first, a goes on', {}, async ({ open }) => {
  const bed = await open()
  await bed.b.send(100_000)
  bed.b.end()
  await bed.a.untilFin(100_000)
  await bed.a.send(300_000)
  await bed.b.untilReceived(300_000)
  assert.equal(bed.b.ended, false, 'a has not ended yet')
  bed.a.end()
  await bed.b.untilFin(300_000)
  await ended(bed, { reason: 'eof', aToB: 300_000, bToA: 100_000 })
})

contract('contract/2 FIN behind the last byte at once', {}, async ({ open }) => {
  for (const size of [1, 4_096, 65_536, 500_000]) {
    const bed = await open()
    void bed.a.send(size)
    bed.b.end()
    await bed.a.untilFin(0)
    await bed.a.until('all written', () => bed.a.sent === size)
    bed.a.end()
    await bed.b.untilFin(size)
    await ended(bed, { reason: 'eof', aToB: size, bToA: 0 })
  }
})

contract('contract/2 both FIN at once, with bytes before them', {}, async ({ open }) => {
  const bed = await open()
  await Promise.all([bed.a.send(200_000), bed.b.send(200_000)])
  bed.a.end()
  bed.b.end()
  await bed.a.untilFin(200_000)
  await bed.b.untilFin(200_000)
  await ended(bed, { reason: 'eof', aToB: 200_000, bToA: 200_000 })
})

contract('contract/2 FIN before the join began', {}, async ({ contestant, open }) => {
  const bed = await open({}, async (a, b) => {
    a.peer.end()
    b.peer.end()
    await sleep(20)
  })
  if (contestant.plane === undefined) {
    bed.a.end()
    bed.b.end()
  }
  await bed.a.untilFin(0)
  await bed.b.untilFin(0)
  await ended(bed, { reason: 'eof', aToB: 0, bToA: 0 })
})

contract('contract/2 bytes and FIN before the join began', { who: joins }, async ({ open }) => {
  const bed = await open({}, async (a) => {
    await a.peer.send(60_000)
    a.peer.end()
    await sleep(20)
  })
  await bed.b.untilFin(60_000)
  await bed.b.send(70_000)
  bed.b.end()
  await bed.a.untilFin(70_000)
  await ended(bed, { reason: 'eof', aToB: 60_000, bToA: 70_000 })
})

contract(
  'contract/2 FIN waits behind a stalled reader',
  { on: [tcp, unix, tcpToUnix, adopted, ...tlsPairings] },
  async ({ open }) => {
    const bed = await open()
    bed.b.stall()
    const size = 12_000_000
    const sending = bed.a.send(size).then(() => {
      bed.a.end()
    })
    await settled(() => bed.a.accepted, 150)
    assert.equal(bed.b.ended, false)
    // The other direction is not held up.
    await bed.b.send(50_000)
    await bed.a.untilReceived(50_000)
    bed.b.resume()
    await bed.b.untilFin(size)
    await sending
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: size, bToA: 50_000 })
  },
)

contract(
  'contract/2 the quiet side of a half-closed join may end without a byte',
  { on: [tcp, unix, unixToTcp, ...tlsPairings] },
  async ({ open }) => {
    const bed = await open()
    bed.b.end()
    await bed.a.untilFin(0)
    await turns()
    bed.a.end()
    await bed.b.untilFin(0)
    await ended(bed, { reason: 'eof', aToB: 0, bToA: 0 })
  },
)

contract(
  'contract/2 the join is over before the last reader has read',
  { on: [tcp, unix, adopted, ...tlsPairings] },
  async ({ open }) => {
    const bed = await open()
    bed.a.stall()
    bed.a.end()
    await bed.b.untilFin(0)
    await bed.b.send(150_000)
    bed.b.end()
    // All of it lies in the kernel by now: closing must not destroy it.
    await ended(bed, { reason: 'eof', aToB: 0, bToA: 150_000 })
    await sleep(200)
    bed.a.resume()
    await bed.a.untilFin(150_000)
  },
)

together('half-closed limit', () => {
  contract(
    'contract/2 nobody but a FIN for longer than the half-closed limit',
    { who: joins, on: [tcp, unix, ...tlsPairings] },
    async ({ open }) => {
      const bed = await open({ halfClosedIdleMs: 700 })
      await bed.a.send(10)
      bed.a.end()
      await bed.b.untilFin(10)
      // Bytes keep it alive.
      const began = performance.now()
      let sent = 0
      while (performance.now() - began < 1_500) {
        await bed.b.send(1)
        sent++
        await sleep(50)
      }
      await bed.a.untilReceived(sent)
      const quiet = performance.now()
      const result = await ended(bed, { reason: 'half-closed-idle', aToB: 10, bToA: sent })
      const took = performance.now() - quiet
      assert.ok(took > 400 && took < 6_000, `ended ${took} ms after the last byte`)
      assert.ok(result !== undefined && result.durationMs >= 1_500)
      await bed.a.untilCut()
      await bed.b.untilReset()
    },
  )

  contract(
    'contract/2 the half-closed limit does not count before a FIN',
    { who: joins, on: [tcp, ...tlsPairings] },
    async ({ open }) => {
      const bed = await open({ halfClosedIdleMs: 200 })
      await sleep(2_500)
      await bed.a.send(5)
      await bed.b.untilReceived(5)
      bed.a.end()
      bed.b.end()
      await ended(bed, { reason: 'eof', aToB: 5, bToA: 0 })
    },
  )
})
