import { strict as assert } from 'node:assert'
import type { DataPlaneStats } from '../../src/dataplane/stats.ts'
import type { DataPlane, Endpoint } from '../../src/dataplane/types.ts'
import type { Contestant } from './harness/contestants.ts'
import { adopted, contract, ended, joins, tcp, tlsPairings, unix } from './harness/contract.ts'
import { eventually } from './harness/wait.ts'

const on = [tcp, unix, adopted, ...tlsPairings]

function planeOf({ plane }: Contestant): DataPlane {
  assert.ok(plane)
  return plane
}

/** Bytes of all paths. */
function bytes({ total }: DataPlaneStats): number {
  return Object.values(total.bytes).reduce((sum, n) => sum + n, 0)
}

contract(
  'contract/4 statistics count what the joins count',
  { who: joins, on, lanes: 'no' },
  async ({ open, contestant, pairing }) => {
    const plane = planeOf(contestant)
    const before = plane.stats()
    const bed = await open()
    assert.equal(plane.stats().joins, before.joins + 1)
    await bed.a.send(300_000)
    await bed.b.send(7)
    await bed.b.untilReceived(300_000)
    await bed.a.untilReceived(7)
    await eventually('live statistics are exact', () => bytes(plane.stats()) - bytes(before) === 300_007)
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 300_000, bToA: 7 })
    const { total, joins: live, kind } = plane.stats()
    assert.equal(bytes(plane.stats()) - bytes(before), 300_007)
    const tls = total.bytes.tls - before.total.bytes.tls
    const streamed = total.bytes.stream - before.total.bytes.stream
    const encrypted = tlsPairings.includes(pairing)
    assert.equal(tls, encrypted ? 300_007 : 0)
    assert.equal(streamed, kind === 'stream' && !encrypted ? 300_007 : 0)
    if (contestant.mode === 'copy') assert.equal(total.bytes.copy - before.total.bytes.copy, 300_007)
    assert.equal(live, before.joins)
    assert.equal(total.joins.now, before.total.joins.now)
    assert.equal(total.joins.begun - before.total.joins.begun, 1)
    assert.equal(total.ended.eof - before.total.ended.eof, 1)
    await eventually('its endpoints are gone', () => plane.stats().endpoints === before.endpoints)
  },
)

contract('contract/4 statistics name every end', { who: joins, on: [tcp] }, async ({ open, contestant }) => {
  const plane = planeOf(contestant)
  const before = plane.stats().total.ended
  const idle = await open({ idleMs: 30 })
  await ended(idle, { reason: 'idle' })
  const cut = await open()
  cut.join?.destroy()
  await ended(cut, { reason: 'aborted' })
  const broken = await open()
  broken.a.reset()
  await ended(broken, { reason: 'reset' })
  const { total } = plane.stats()
  assert.deepEqual(
    [total.ended.idle - before.idle, total.ended.aborted - before.aborted, total.ended.reset - before.reset],
    [1, 1, 1],
  )
  const sum = Object.values(total.ended).reduce((all, n) => all + n, 0)
  assert.equal(sum + total.joins.now, total.joins.begun)
})

contract('contract/4 statistics count a join that could not connect', { who: joins, on: [tcp] }, async (bench) => {
  const plane = planeOf(bench.contestant)
  const visitors: Endpoint[] = []
  const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => visitors.push(...batch))
  const other = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, () => {})
  assert.ok(listener.address.family !== 'unix' && other.address.family !== 'unix')
  await other.close()
  const before = plane.stats()
  const near = await plane.dial({ host: '127.0.0.1', port: listener.address.port })
  await eventually('the visitor is here', () => visitors.length === 1)
  const [visitor] = visitors
  assert.ok(visitor)
  const join = plane.joinTo(visitor, { host: '127.0.0.1', port: other.address.port })
  assert.equal(plane.stats().joins, before.joins + 1)
  assert.equal((await join.done).reason, 'unreachable')
  const { total, joins: live } = plane.stats()
  assert.equal(live, before.joins)
  assert.equal(total.joins.now, before.total.joins.now)
  assert.equal(total.joins.begun - before.total.joins.begun, 1)
  assert.equal(total.ended.unreachable - before.total.ended.unreachable, 1)
  assert.deepEqual([total.dials - before.total.dials, total.dialsFailed - before.total.dialsFailed], [2, 1])
  near.destroy('reset')
  await listener.close()
  await eventually('its endpoints are gone', () => plane.stats().endpoints === before.endpoints)
})

contract('contract/4 statistics count who came and who was called', { who: joins, on: [tcp] }, async (bench) => {
  const plane = planeOf(bench.contestant)
  const before = plane.stats().total
  const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, { maxEndpoints: 1 }, ([one]) => one?.destroy())
  assert.ok(listener.address.family !== 'unix')
  const target = { host: '127.0.0.1', port: listener.address.port }
  assert.equal(plane.stats().listeners, 1)
  const endpoint = await plane.dial(target)
  await eventually('it is counted', () => plane.stats().total.accepted - before.accepted === 1)
  endpoint.destroy()
  await eventually('both are gone', () => plane.stats().endpoints === 0)
  await listener.close()
  await assert.rejects(plane.dial(target), { code: 'ERR_DIAL' })
  const { total, listeners } = plane.stats()
  assert.equal(listeners, 0)
  assert.deepEqual([total.dials - before.dials, total.dialsFailed - before.dialsFailed], [2, 1])
  assert.equal(total.endpoints.born - before.endpoints.born, bench.contestant.mode === 'stream' ? 2 : 3)
})
