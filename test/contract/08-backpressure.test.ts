import { strict as assert } from 'node:assert'
import type { Bed } from './harness/bed.ts'
import { adopted, contract, ended, tcp, tcpToUnix, tlsPairings, together, unix } from './harness/contract.ts'
import { settled } from './harness/wait.ts'

const flood = 512 * 1_048_576
/**
 * What kernel and relay may hold for one stalled direction: four socket buffers of at most 32 MiB (tcp_rmem, tcp_wmem
 * here), of which loopback uses a part, and a bounded buffer of ours.
 */
const bound = 96 * 1_048_576

together('stalled sinks', () => {
  contract(
    'contract/8 a sink that does not read stops its source',
    { on: [tcp, unix, tcpToUnix, adopted, ...tlsPairings] },
    async ({ open }) => {
      const bed = await open()
      bed.b.stall()
      const sending = bed.a.send(flood)
      const accepted = await settled(() => bed.a.accepted, 400)
      assert.ok(accepted < bound, `${accepted} bytes were taken for a sink that reads none`)
      assert.ok(bed.a.sent - accepted <= 256 * 1024, 'the source is stopped')
      // The other direction goes on, and the first one once the sink reads again.
      await bed.b.send(100_000)
      await bed.a.untilReceived(100_000)
      bed.b.resume()
      await bed.b.until('more than was waiting', () => bed.b.received > accepted + 1_000_000)
      bed.a.reset()
      assert.equal(await sending, false)
      if (bed.join !== undefined) {
        bed.join.destroy()
        await ended(bed, { reason: ['reset', 'aborted', 'eof'] })
      }
    },
  )

  contract(
    'contract/8 both sinks stalled, then both read',
    { on: [tcp, tcpToUnix, ...tlsPairings] },
    async ({ open }) => {
      const bed = await open()
      const size = 12_000_000
      bed.a.stall()
      bed.b.stall()
      const sending = [bed.a.send(size), bed.b.send(size)]
      await settled(() => bed.a.accepted + bed.b.accepted, 300)
      bed.a.resume()
      bed.b.resume()
      await bed.a.untilReceived(size)
      await bed.b.untilReceived(size)
      await Promise.all(sending)
      bed.a.end()
      bed.b.end()
      await ended(bed, { reason: 'eof', aToB: size, bToA: size })
    },
  )
})

contract('contract/8 twenty stalled joins hold bounded memory', { on: [tcp, ...tlsPairings] }, async ({ open }) => {
  const beds: Bed[] = []
  for (let count = 0; count < 20; count++) beds.push(await open())
  const before = process.memoryUsage.rss()
  const sending: Promise<boolean>[] = []
  for (const bed of beds) {
    bed.a.stall()
    bed.b.stall()
    sending.push(bed.a.send(flood), bed.b.send(flood))
  }
  await settled(() => beds.reduce((sum, bed) => sum + bed.a.accepted + bed.b.accepted, 0), 400, 60_000)
  const grown = process.memoryUsage.rss() - before
  // 2.4 MiB a direction, where without backpressure it would be half a gigabyte.
  assert.ok(grown < 96 * 1_048_576, `${Math.round(grown / 1_048_576)} MiB more for 20 stalled joins`)
  for (const bed of beds) {
    bed.a.reset()
    bed.b.reset()
    bed.join?.destroy()
  }
  await Promise.all(sending)
  for (const bed of beds) await ended(bed, { reason: ['reset', 'aborted', 'eof'] })
})
