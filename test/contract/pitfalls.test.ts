import { strict as assert } from 'node:assert'
import type { Bed } from './harness/bed.ts'
import {
  adopted,
  contract,
  ended,
  joins,
  native,
  tcp,
  tcpToUnix,
  tlsPairings,
  together,
  unix,
} from './harness/contract.ts'
import { random } from './harness/pattern.ts'
import { eventually, settled, sleep, turns } from './harness/wait.ts'

// Named regressions of known faults of relays. Pitfall 9 is in endpoint-write and tls-endpoint, 23 and 24 are in adopt.
const where = { on: [tcp, unix, tcpToUnix, adopted, ...tlsPairings] }

/** Ends both sides and checks the exact counts. */
async function finish(bed: Bed, aToB: number, bToA: number): Promise<void> {
  bed.a.end()
  bed.b.end()
  await bed.b.untilFin(aToB)
  await bed.a.untilFin(bToA)
  await ended(bed, { reason: 'eof', aToB, bToA })
}

together('bytes and ends', () => {
  contract('pitfall 1: a burst larger than any budget loses no wake-up', where, async ({ open }) => {
    const bed = await open()
    let total = 0
    // Around powers of two lie budgets, buffers and pipes; after each burst there is silence.
    for (const size of [65_535, 65_537, 131_073, 262_145, 524_289, 1_048_577, 2_097_153]) {
      total += size
      await Promise.all([bed.a.send(size), bed.b.send(size)])
      await bed.b.untilReceived(total)
      await bed.a.untilReceived(total)
    }
    await finish(bed, total, total)
  })

  contract('pitfall 2: tiny segments do not fill the slots of a pipe for ever', where, async ({ open }) => {
    const bed = await open()
    // First bulk, so that an adaptive engine splices; then single bytes against a reader that stands still.
    await bed.a.send(2_000_000)
    bed.b.stall()
    for (let count = 0; count < 400; count++) {
      // Not awaited: a unix socket charges so much for each that its buffer is full before the last.
      void bed.a.send(1)
      await turns(1)
    }
    bed.b.resume()
    await bed.b.untilReceived(2_000_400)
    await bed.a.send(1_000_000)
    await bed.b.untilReceived(3_000_400)
    await finish(bed, 3_000_400, 0)
  })

  contract('pitfall 6: FIN never overtakes the last bytes', where, async ({ open }) => {
    const next = random(6)
    for (let round = 0; round < 25; round++) {
      const bed = await open()
      const size = Math.floor(next() * 400_000)
      if (next() < 0.3) bed.b.stall()
      const sending = bed.a.send(size, 1 + Math.floor(next() * 65_536)).then(() => {
        bed.a.end()
      })
      await turns(Math.floor(next() * 4))
      bed.b.resume()
      await sending
      await bed.b.untilFin(size)
      bed.b.end()
      await bed.a.untilFin(0)
      await ended(bed, { reason: 'eof', aToB: size, bToA: 0 })
    }
  })

  contract(
    'pitfall 8: what came before a reset is delivered before it',
    { who: joins, on: [tcp, adopted, ...tlsPairings] },
    async ({ open }) => {
      for (const size of [1, 3_000, 50_000]) {
        const bed = await open()
        const { join } = bed
        assert.ok(join)
        bed.b.stall()
        await bed.a.send(size)
        await eventually('the sink has it', () => join.bytes.aToB === BigInt(size))
        bed.a.reset()
        await turns(2)
        bed.b.resume()
        await bed.b.untilReset()
        assert.equal(bed.b.received, size)
        await ended(bed, { reason: 'reset', aToB: size, bToA: 0 })
      }
    },
  )

  contract(
    'pitfall 10: a reset behind a FIN is noticed though both sides are quiet',
    { who: joins, on: [tcp, ...tlsPairings] },
    async ({ open }) => {
      const bed = await open()
      bed.a.end()
      await bed.b.untilFin(0)
      bed.a.reset()
      await ended(bed, { reason: 'reset', aToB: 0, bToA: 0 })
      await bed.b.untilReset()
    },
  )

  contract(
    'pitfall 12: two directions at full speed do not stall each other',
    { on: [tcp, unix, ...tlsPairings] },
    async ({ open }) => {
      const bed = await open()
      const size = 6_000_000
      const sending = [bed.a.send(size, 3_001), bed.b.send(size, 777_777)]
      await bed.b.untilReceived(size)
      await bed.a.untilReceived(size)
      await Promise.all(sending)
      await finish(bed, size, size)
    },
  )

  contract(
    'pitfall 14: descriptors that are used again at once never mix joins',
    { on: [tcp, unix, ...tlsPairings] },
    async ({ open }) => {
      const next = random(14)
      await Promise.all(
        Array.from({ length: 6 }, async () => {
          for (let round = 0; round < 25; round++) {
            const bed = await open()
            const size = Math.floor(next() * 30_000)
            await bed.a.send(size)
            await bed.b.send(size + 1)
            await bed.b.untilReceived(size)
            await bed.a.untilReceived(size + 1)
            if (round % 3 === 0) bed.a.reset()
            else if (round % 3 === 1) bed.b.reset()
            else bed.a.end()
            // Whatever came first, the other one follows while new joins take the numbers.
            await bed.b.until('the end', () => bed.b.events.length > 0 || round % 3 === 1)
            bed.b.end()
            bed.a.end()
            await ended(bed, { reason: ['eof', 'reset'], aToB: size, bToA: size + 1 })
          }
        }),
      )
    },
  )

  contract('fact 3: a tail behind a full pipe is not forgotten', where, async ({ open }) => {
    const bed = await open()
    bed.b.stall()
    // More than pipe and sink hold together: the engine stops with both full, and then one more byte comes.
    const size = 16_000_000
    const sending = bed.a.send(size)
    await settled(() => bed.a.accepted, 150)
    bed.b.resume()
    await sending
    await bed.a.send(1)
    await bed.b.untilReceived(size + 1)
    await finish(bed, size + 1, 0)
  })

  contract(
    'fact 16: what the sink had taken arrives although the source resets',
    { who: native, on: [tcp, adopted, ...tlsPairings] },
    async ({ open }) => {
      // Native only: Node does not tell when a send queue is empty.
      const bed = await open()
      const { join } = bed
      assert.ok(join)
      bed.b.stall()
      const sending = bed.a.send(64 * 1_048_576)
      await eventually('bytes under way', () => join.bytes.aToB > 100_000n)
      const taken = await settled(() => join.bytes.aToB, 200)
      bed.a.reset()
      await sending
      await sleep(300)
      bed.b.resume()
      await bed.b.untilReset()
      assert.ok(BigInt(bed.b.received) >= taken, `taken ${taken}, arrived ${bed.b.received}`)
      assert.equal(bed.b.errno, 'ECONNRESET')
      const result = await ended(bed, { reason: 'reset', bToA: 0 })
      assert.equal(result?.aToB, BigInt(bed.b.received), 'every counted byte arrived')
    },
  )
})

together('slow ones', () => {
  contract(
    'pitfall 5: nothing is left behind when a direction goes quiet and starts again',
    where,
    async ({ open }) => {
      const bed = await open()
      let total = 0
      for (let round = 0; round < 2; round++) {
        total += 1_500_000
        await bed.a.send(1_500_000)
        await bed.b.untilReceived(total)
        // An adaptive engine leaves splice after one idle second.
        await sleep(1_300)
        for (const size of [1, 20, 300]) {
          total += size
          await bed.a.send(size)
          await bed.b.untilReceived(total)
        }
      }
      await finish(bed, total, 0)
    },
  )

  contract(
    'pitfall 7: a side that never ends is let go after the half-closed limit',
    {
      who: joins,
      on: [tcp, unix, ...tlsPairings],
    },
    async ({ open }) => {
      const bed = await open({ halfClosedIdleMs: 500 })
      await bed.b.send(1_000)
      bed.b.end()
      await bed.a.untilFin(1_000)
      // The first FIN closes nothing else.
      await bed.a.send(1_000)
      await bed.b.untilReceived(1_000)
      await ended(bed, { reason: 'half-closed-idle', aToB: 1_000, bToA: 1_000 })
    },
  )
})

contract('pitfall 11: ends and stalls burn no CPU', { who: joins, on: [tcp, ...tlsPairings] }, async ({ open }) => {
  const beds = [await open(), await open(), await open()]
  const [halfClosed, stalled, both] = beds
  assert.ok(halfClosed && stalled && both)
  halfClosed.a.end()
  await halfClosed.b.untilFin(0)
  const sending: Promise<boolean>[] = []
  for (const bed of [stalled, both]) {
    bed.b.stall()
    sending.push(bed.a.send(40_000_000))
  }
  both.b.end()
  await settled(() => stalled.a.accepted + both.a.accepted, 300)
  const before = process.cpuUsage()
  await sleep(700)
  const used = process.cpuUsage(before)
  const busyMs = (used.user + used.system) / 1_000
  assert.ok(busyMs < 350, `${busyMs} ms of CPU in 700 ms in which nothing happened`)
  for (const bed of beds) bed.join?.destroy()
  for (const bed of beds) await ended(bed, { reason: 'aborted' })
  await Promise.all(sending)
})
