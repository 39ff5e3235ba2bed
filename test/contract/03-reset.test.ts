import { strict as assert } from 'node:assert'
import type { Endpoint } from '../../src/dataplane/types.ts'
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
import type { Peer } from './harness/peer.ts'
import { settled, sleep, within } from './harness/wait.ts'

const onlyTcp = [tcp, adopted, ...tlsPairings]

/** Resolves when the endpoint has noticed, without being read, that its peer is gone. */
async function noticed(endpoint: Endpoint, how: 'fin' | 'reset'): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    endpoint.onClosed((what) => {
      if (what === how) resolve()
    })
  })
  await within(closed, `onClosed('${how}')`)
}

/** A reset that reached a peer, by the system's own name. */
function assertReset(peer: Peer): void {
  assert.ok(peer.wasReset, peer.describe())
  assert.equal(peer.errno, 'ECONNRESET', peer.describe())
}

contract('contract/3 a resets after everything was received', { on: onlyTcp }, async ({ open }) => {
  const bed = await open()
  await bed.a.send(300_000)
  await bed.b.send(200_000)
  await bed.b.untilReceived(300_000)
  await bed.a.untilReceived(200_000)
  bed.a.reset()
  await bed.b.untilReset()
  assertReset(bed.b)
  assert.equal(bed.b.ended, false, 'a reset is not a FIN')
  const result = await ended(bed, { reason: 'reset', aToB: 300_000, bToA: 200_000 })
  if (result !== undefined) assert.equal(result.errno, 'ECONNRESET')
})

contract('contract/3 b resets after everything was received', { on: onlyTcp }, async ({ open }) => {
  const bed = await open()
  await bed.a.send(100)
  await bed.b.untilReceived(100)
  bed.b.reset()
  await bed.a.untilReset()
  assertReset(bed.a)
  await ended(bed, { reason: 'reset', aToB: 100, bToA: 0 })
})

contract('contract/3 a quiet peer resets', { on: onlyTcp }, async ({ open }) => {
  const bed = await open()
  bed.a.reset()
  await bed.b.untilReset()
  assertReset(bed.b)
  await ended(bed, { reason: 'reset', aToB: 0, bToA: 0 })
})

contract('contract/3 a reset in mid-stream leaves a prefix', { on: onlyTcp }, async ({ open }) => {
  const bed = await open()
  const sending = bed.a.send(64 * 1_048_576)
  await bed.b.until('the middle', () => bed.b.received > 1_000_000)
  bed.a.reset()
  await bed.b.untilReset()
  assertReset(bed.b)
  assert.equal(bed.b.ended, false, 'a reset is not a FIN')
  await sending
  const result = await ended(bed, { reason: 'reset', bToA: 0 })
  if (result !== undefined) assert.ok(result.aToB >= BigInt(bed.b.received), 'counted what was delivered')
})

contract('contract/3 the receiver resets in mid-stream', { on: onlyTcp }, async ({ open }) => {
  const bed = await open()
  const sending = bed.a.send(64 * 1_048_576)
  await bed.b.until('the middle', () => bed.b.received > 1_000_000)
  bed.b.reset()
  await bed.a.untilReset()
  assert.equal(await sending, false)
  await ended(bed, { reason: 'reset', bToA: 0 })
})

contract('contract/3 bytes and a reset together', { on: onlyTcp }, async ({ open }) => {
  for (const size of [1, 1_000, 60_000]) {
    const bed = await open()
    await bed.a.send(size)
    bed.a.reset()
    await bed.b.untilReset()
    assert.ok(bed.b.received <= size)
    await ended(bed, { reason: 'reset', bToA: 0 })
  }
})

contract('contract/3 a reset behind a FIN, with the other side sending', { on: onlyTcp }, async ({ open }) => {
  const bed = await open()
  await bed.a.send(1_000)
  bed.a.end()
  await bed.b.untilFin(1_000)
  await bed.b.send(10)
  await bed.a.untilReceived(10)
  bed.a.reset()
  await bed.b.untilReset()
  await ended(bed, { reason: 'reset', aToB: 1_000 })
})

contract("contract/3 bytes and a reset together, behind the other side's FIN", { on: onlyTcp }, async ({ open }) => {
  for (const size of [1, 1_000, 13_000, 60_000]) {
    const bed = await open()
    bed.b.end()
    await bed.a.untilFin(0)
    await bed.a.send(size)
    bed.a.reset()
    // Whether by a reset is more than this peer can tell: it has sent FIN itself, see `Player`.
    await bed.b.untilOver()
    assert.ok(bed.b.received <= size)
    await ended(bed, { reason: 'reset', bToA: 0 })
  }
})

contract('contract/3 a reset before the join began', { who: joins, on: onlyTcp }, async ({ open }) => {
  const bed = await open({}, async (a) => {
    const seen = noticed(a.endpoint, 'reset')
    a.peer.reset()
    await seen
  })
  await bed.b.untilReset()
  assertReset(bed.b)
  await ended(bed, { reason: 'reset', aToB: 0, bToA: 0 })
})

contract('contract/3 bytes and a reset before the join began', { who: joins, on: onlyTcp }, async ({ open }) => {
  const bed = await open({}, async (a) => {
    await a.peer.send(5_000)
    assert.equal((await a.endpoint.peek(5_000, 30_000)).length, 5_000)
    a.peer.reset()
    await sleep(20)
  })
  await bed.b.untilReset()
  assert.equal(bed.b.received, 5_000, 'bytes received before the reset are delivered')
  await ended(bed, { reason: 'reset', aToB: 5_000, bToA: 0 })
})

contract('contract/3 unix sockets: a reset is a close', { on: [unix, unixToTcp] }, async ({ open }) => {
  const bed = await open()
  await bed.a.send(5_000)
  await bed.b.untilReceived(5_000)
  bed.a.reset()
  await bed.b.untilOver()
  bed.b.end()
  await bed.b.until('the end', () => bed.b.closed)
  await ended(bed, { reason: ['eof', 'reset'], aToB: 5_000, bToA: 0 })
})

contract('contract/3 TCP reset to a unix sink is a close', { on: [tcpToUnix] }, async ({ open }) => {
  const bed = await open()
  await bed.a.send(5_000)
  await bed.b.untilReceived(5_000)
  bed.a.reset()
  await bed.b.untilOver()
  if (!bed.b.closed) await bed.b.untilReset()
  await ended(bed, { reason: 'reset', aToB: 5_000, bToA: 0 })
})

together('five seconds', () => {
  contract(
    'contract/3 a reset while the sink takes nothing ends in bounded time',
    { on: [tcp, ...tlsPairings], lanes: 'no' },
    async ({ open }) => {
      const bed = await open()
      bed.b.stall()
      const sending = bed.a.send(64 * 1_048_576)
      await settled(() => bed.a.accepted, 200)
      bed.a.reset()
      const began = performance.now()
      assert.equal(await sending, false)
      // The limit for undelivered bytes is 5 s.
      await ended(bed, { reason: 'reset', bToA: 0 })
      assert.ok(performance.now() - began < 12_000)
      bed.b.resume()
      await bed.b.untilReset()
    },
  )
})
