import { strict as assert } from 'node:assert'
import type { Bed } from './harness/bed.ts'
import { contract, ended, tcp, tlsPairings, unix } from './harness/contract.ts'

const quiet = 100
const rounds = 10

/** A conversation of small messages: each answer is awaited before the next question. */
async function chat(bed: Bed): Promise<void> {
  for (let round = 1; round <= rounds; round++) {
    await bed.a.send(50)
    await bed.b.untilReceived(round * 50)
    await bed.b.send(60)
    await bed.a.untilReceived(round * 60)
  }
}

contract(
  'contract/9 one bulk join beside a hundred quiet ones',
  { on: [tcp, unix, ...tlsPairings] },
  async ({ open }) => {
    const bulk = await open()
    const chats: Bed[] = []
    for (let count = 0; count < quiet; count++) chats.push(await open())
    let flowing = true
    const flood = (async () => {
      while (flowing && (await bulk.a.send(1_048_576)));
      bulk.a.end()
    })()
    await bulk.b.until('the flood', () => bulk.b.received > 4_000_000)
    const before = bulk.b.received
    await Promise.all(chats.map(chat))
    const during = bulk.b.received - before
    flowing = false
    await flood
    assert.ok(during > 0, 'and the bulk join went on as well')
    await bulk.b.untilFin(bulk.a.sent)
    bulk.b.end()
    await ended(bulk, { reason: 'eof', aToB: bulk.a.sent, bToA: 0 })
    for (const bed of chats) {
      bed.a.end()
      bed.b.end()
      await ended(bed, { reason: 'eof', aToB: rounds * 50, bToA: rounds * 60 })
    }
  },
)

contract('contract/9 bulk joins share', { on: [tcp, ...tlsPairings] }, async ({ open }) => {
  const beds: Bed[] = []
  for (let count = 0; count < 4; count++) beds.push(await open())
  const size = 6_000_000
  await Promise.all(
    beds.map(async (bed) => {
      await bed.a.send(size)
      bed.a.end()
      await bed.b.untilFin(size)
      bed.b.end()
      await ended(bed, { reason: 'eof', aToB: size, bToA: 0 })
    }),
  )
})
