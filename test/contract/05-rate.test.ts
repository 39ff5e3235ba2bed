import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { MillraceError } from '../../src/errors.ts'
import { contestants } from './harness/contestants.ts'
import { contract, ended, joins, tcp, tlsPairings, together, unix } from './harness/contract.ts'
import type { Peer } from './harness/peer.ts'
import { sleep } from './harness/wait.ts'

const mebibyte = 1_048_576
const part = 65_536
const where = { who: joins, on: [tcp, unix, ...tlsPairings] }
const onTcpAndTls = { who: joins, on: [tcp, ...tlsPairings] }
const onTcp = { who: joins, on: [tcp] }

/** How long it takes until `peer` has `total` bytes, ms. */
async function timeUntil(peer: Peer, total: number): Promise<number> {
  const began = performance.now()
  await peer.untilReceived(total)
  return performance.now() - began
}

together('rate limits', () => {
  contract('contract/5 rate limit of one direction', where, async ({ contestant, open }) => {
    const rate = contestant.plane?.rateLimit(part, 4_096)
    assert.ok(rate)
    assert.equal(rate.bytesPerSecond, part)
    assert.equal(rate.burst, 4_096)
    const bed = await open({ aToB: { rate } })
    void bed.a.send(part)
    void bed.b.send(mebibyte)
    const [limited, free] = await Promise.all([timeUntil(bed.b, part), timeUntil(bed.a, mebibyte)])
    // (64 − 4) KiB ÷ 64 KiB/s = 940 ms, less what the clock's ticks may give.
    assert.ok(limited > 750 && limited < 10_000, `64 KiB at 64 KiB/s took ${limited} ms`)
    // At the same rate its 1 MiB would take sixteen times as long.
    assert.ok(free < 10 * limited, `the other direction is free: ${free} ms beside ${limited} ms`)
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: part, bToA: mebibyte })
  })

  contract('contract/5 burst of a rate limit', onTcp, async ({ contestant, open }) => {
    const rate = contestant.plane?.rateLimit(256 * 1024)
    assert.ok(rate)
    assert.equal(rate.burst, 256 * 1024, 'one second by default')
    const bed = await open({ aToB: { rate } })
    void bed.a.send(512 * 1024)
    const began = performance.now()
    await bed.b.until('the burst', () => bed.b.received >= 250 * 1024)
    const burst = performance.now() - began
    await bed.b.untilReceived(512 * 1024)
    const all = performance.now() - began
    assert.ok(all > 750 && all < 10_000, `burst ${burst} ms, all ${all} ms`)
    assert.ok(burst < all - 500, `the burst passes at once: ${burst} ms of ${all} ms`)
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 512 * 1024, bToA: 0 })
  })

  contract('contract/5 a rate shared by two joins and both directions', onTcpAndTls, async ({ contestant, open }) => {
    const rate = contestant.plane?.rateLimit(mebibyte, 65_536)
    assert.ok(rate)
    const one = await open({ aToB: { rate }, bToA: { rate } })
    const two = await open({ aToB: { rate } })
    const each = 400_000
    for (const peer of [one.a, one.b, two.a]) void peer.send(each)
    const times = await Promise.all([one.b, one.a, two.b].map((peer) => timeUntil(peer, each)))
    const all = Math.max(...times)
    // Three parts less the burst: 1080 ms; unshared each would take 320 ms.
    assert.ok(all > 850 && all < 12_000, `took ${times.join(', ')} ms`)
    for (const bed of [one, two]) {
      bed.a.end()
      bed.b.end()
      await ended(bed, { reason: 'eof', aToB: each })
    }
  })

  contract('contract/5 a limited direction still ends and half-closes', onTcpAndTls, async ({ contestant, open }) => {
    const rate = contestant.plane?.rateLimit(400_000, 10_000)
    assert.ok(rate)
    const bed = await open({ aToB: { rate } })
    await bed.a.send(200_000)
    bed.a.end()
    await bed.b.untilFin(200_000)
    await bed.b.send(100_000)
    bed.b.end()
    await bed.a.untilFin(100_000)
    await ended(bed, { reason: 'eof', aToB: 200_000, bToA: 100_000 })
  })

  contract('contract/5 waiting for a rate is neither idle nor stalled for long rates', onTcp, async (bench) => {
    const rate = bench.contestant.plane?.rateLimit(20_000, 1_000)
    assert.ok(rate)
    const bed = await bench.open({ aToB: { rate }, idleMs: 2_500, stalledMs: 2_500 })
    await bed.a.send(80_000)
    bed.a.end()
    await bed.b.untilFin(80_000)
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 80_000, bToA: 0 })
  })

  contract('contract/5 abort while a rate holds bytes back', onTcp, async ({ contestant, open }) => {
    const rate = contestant.plane?.rateLimit(1_000, 1)
    assert.ok(rate)
    const bed = await open({ aToB: { rate } })
    await bed.a.send(100_000)
    await sleep(100)
    bed.join?.destroy()
    await ended(bed, { reason: 'aborted', bToA: 0 })
    await bed.b.untilCut()
    assert.ok(bed.b.received < 50_000, bed.b.describe())
  })
})

for (const { label, plane } of contestants) {
  if (plane === undefined) continue
  test(`contract/5 bad rates are refused [${label}]`, () => {
    for (const [rate, burst] of [[0], [-1], [0.5], [Number.NaN], [10, 0], [10, -5], [10, Number.NaN]] as const) {
      assert.throws(
        () => plane.rateLimit(rate, burst),
        (error) => error instanceof MillraceError && error.code === 'ERR_OPTION',
        `${rate} ${burst}`,
      )
    }
  })
}
