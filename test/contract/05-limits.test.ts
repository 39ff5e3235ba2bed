import { strict as assert } from 'node:assert'
import { contract, ended, joins, tcp, tlsPairings, together, unix } from './harness/contract.ts'
import { settled, sleep } from './harness/wait.ts'

/** Timers may be coarse (a wheel of one second) and the machine busy: this late is still right, ms. */
const lateMs = 8_000

const where = { who: joins, on: [tcp, unix, ...tlsPairings] }
const onTcp = { who: joins, on: [tcp, ...tlsPairings] }

together('limits', () => {
  contract('contract/5 idle limit', where, async ({ open }) => {
    const bed = await open({ idleMs: 600 })
    // Bytes of either direction keep it alive.
    for (let round = 0; round < 20; round++) {
      await (round < 10 ? bed.a : bed.b).send(3)
      await sleep(120)
    }
    const quiet = performance.now()
    await ended(bed, { reason: 'idle', aToB: 30, bToA: 30 })
    const took = performance.now() - quiet
    assert.ok(took > 300 && took < lateMs, `${took} ms after the last byte`)
    await bed.a.untilCut()
    await bed.b.untilCut()
  })

  contract('contract/5 no idle limit unless asked for', onTcp, async ({ open }) => {
    const bed = await open()
    await sleep(2_500)
    await bed.a.send(1)
    await bed.b.untilReceived(1)
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 1, bToA: 0 })
  })

  contract('contract/5 absolute limit', where, async ({ open }) => {
    const began = performance.now()
    const bed = await open({ maxDurationMs: 800 })
    const { join } = bed
    assert.ok(join)
    let over = false
    void join.done.then(() => {
      over = true
    })
    while (!over) {
      await bed.a.send(10)
      await sleep(30)
      assert.ok(performance.now() - began < 800 + lateMs)
    }
    const result = await ended(bed, { reason: 'limit', bToA: 0 })
    assert.ok(result && result.durationMs >= 700, `${result?.durationMs} ms`)
    await bed.b.untilCut()
  })

  contract('contract/5 stalled limit', where, async ({ open }) => {
    const bed = await open({ stalledMs: 900 })
    const { join } = bed
    assert.ok(join)
    bed.b.stall()
    const sending = bed.a.send(64 * 1_048_576)
    await settled(() => bed.a.accepted, 150)
    const result = await ended(bed, { reason: 'stalled', bToA: 0 })
    assert.ok(result && result.durationMs >= 700, `${result?.durationMs} ms`)
    assert.equal(await sending, false, 'the source is told')
    bed.b.resume()
    await bed.b.untilCut()
  })

  contract('contract/5 a slow reader is not a stalled one', onTcp, async ({ open }) => {
    const bed = await open({ stalledMs: 2_500 })
    bed.b.stall()
    const size = 12_000_000
    const sending = bed.a.send(size)
    for (let round = 0; round < 6; round++) {
      await sleep(600)
      const before = bed.b.received
      bed.b.resume()
      await bed.b.until('progress', () => bed.b.received >= Math.min(size, before + 1_000_000) || bed.b.closed)
      bed.b.stall()
    }
    bed.b.resume()
    await bed.b.untilReceived(size)
    await sending
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: size, bToA: 0 })
  })

  contract('contract/5 quiet is not stalled', onTcp, async ({ open }) => {
    const bed = await open({ stalledMs: 300 })
    bed.b.stall()
    await bed.a.send(1_000)
    await sleep(2_500)
    bed.b.resume()
    await bed.b.untilReceived(1_000)
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 1_000, bToA: 0 })
  })
})
