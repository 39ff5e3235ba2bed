import { strict as assert } from 'node:assert'
import { contract, ended, everyPairing, joins, tcp, tlsPairings } from './harness/contract.ts'
import { sleep } from './harness/wait.ts'

const where = { who: joins, on: everyPairing }

contract('contract/5 destroy() resets both sides', where, async ({ open, pairing }) => {
  const bed = await open()
  await bed.a.send(10_000)
  await bed.b.untilReceived(10_000)
  bed.join?.destroy()
  bed.join?.destroy()
  await ended(bed, { reason: 'aborted', aToB: 10_000, bToA: 0 })
  bed.join?.destroy()
  for (const [peer, side] of [
    [bed.a, pairing.a],
    [bed.b, pairing.b],
  ] as const) {
    await peer.untilOver()
    if (side.transport !== 'unix') assert.deepEqual([peer.events[0], peer.errno], ['rst', 'ECONNRESET'])
  }
})

contract('contract/5 destroy() in mid-stream leaves a prefix', where, async ({ open }) => {
  const bed = await open()
  const sending = [bed.a.send(64 * 1_048_576), bed.b.send(64 * 1_048_576)]
  await bed.b.until('the middle', () => bed.b.received > 500_000)
  await bed.a.until('the middle', () => bed.a.received > 500_000)
  bed.join?.destroy()
  const result = await ended(bed, { reason: 'aborted' })
  await Promise.all(sending)
  await bed.a.until('the end', () => bed.a.closed || bed.a.ended)
  await bed.b.until('the end', () => bed.b.closed || bed.b.ended)
  assert.ok(result && result.aToB >= BigInt(bed.b.received) && result.bToA >= BigInt(bed.a.received))
})

contract('contract/5 an AbortSignal aborts', where, async ({ open }) => {
  const controller = new AbortController()
  const bed = await open({ signal: controller.signal })
  await bed.b.send(7)
  await bed.a.untilReceived(7)
  controller.abort()
  await ended(bed, { reason: 'aborted', aToB: 0, bToA: 7 })
  await bed.a.untilOver()
  await bed.b.untilOver()
})

contract('contract/5 a signal aborted before the join', where, async ({ open }) => {
  const bed = await open({ signal: AbortSignal.abort() })
  await ended(bed, { reason: 'aborted', aToB: 0, bToA: 0 })
  await bed.a.untilOver()
  await bed.b.untilOver()
})

contract('contract/5 a signal aborted after the end', { who: joins, on: [tcp, ...tlsPairings] }, async ({ open }) => {
  const controller = new AbortController()
  const bed = await open({ signal: controller.signal })
  bed.a.end()
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 0, bToA: 0 })
  controller.abort()
  await sleep(20)
  await ended(bed, { reason: 'eof', aToB: 0, bToA: 0 })
})
