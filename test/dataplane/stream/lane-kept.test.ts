import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint, JoinOptions } from '../../../src/dataplane/types.ts'
import { acceptPair, deferred, type Pair, readAll } from '../pair.ts'
import { againstFrames, lanePair, plane, readAllOf } from './lane-bed.ts'

/** A visitor whose first bytes have been read, and given back. */
async function visitor(head = 'head '): Promise<Pair> {
  const pair = await acceptPair(plane)
  pair.endpoint.unread(Buffer.from(head))
  return pair
}

/** Shows that the endpoint is the caller's as it was: sends `body` and FIN, and gets an answer. */
async function goesOn({ endpoint, peer }: Pair, expected: string): Promise<void> {
  const { opens, accepts } = await lanePair(false)
  const join = plane.join(endpoint, opens.lane.open(Buffer.from('again')))
  const { visit } = await accepts.visits.next()
  peer.end('body')
  assert.equal(String(await readAllOf(visit)), `${expected}body`)
  visit.write(Buffer.from('answer'))
  visit.destroy()
  assert.equal(String(await readAll(peer)), 'answer')
  const { reason, aToB } = await join.done
  assert.deepEqual([reason, aToB], ['eof', BigInt(expected.length + 4)])
  opens.lane.destroy()
}

test('a lane that was dead before the join takes nothing of the visitor', async () => {
  const { opens, accepts } = await lanePair(false)
  const visit = opens.lane.open(Buffer.from('never'))
  accepts.lane.destroy('reset')
  await opens.closed
  const one = await visitor()
  const { reason, aToB, bToA } = await plane.join(one.endpoint, visit).done
  assert.deepEqual([reason, aToB, bToA], ['unreachable', 0n, 0n])
  assert.equal(String(await one.endpoint.read(5_000)), 'head ')
  one.endpoint.unread(Buffer.from('HEAD '))
  await goesOn(one, 'HEAD ')
})

test('a lane that dies before the OPEN has left takes nothing, not even the head that was on its way', async () => {
  for (const how of ['reset', 'fin'] as const) {
    const { opens } = await lanePair(false)
    const one = await visitor()
    const visit = opens.lane.open(Buffer.from('never'))
    visit.write(Buffer.from('what the caller says itself '))
    const ended = deferred<string>()
    plane.join(one.endpoint, visit, { onEnd: ({ reason }) => ended.resolve(reason) })
    opens.lane.destroy(how)
    assert.equal(await ended.promise, 'unreachable')
    await goesOn(one, 'head ')
  }
})

test('a lane that dies while the visitor is silent', async () => {
  const { opens, accepts } = await lanePair(true)
  const one = await acceptPair(plane)
  const join = plane.join(one.endpoint, opens.lane.open(Buffer.from('first')))
  await accepts.visits.next()
  accepts.lane.destroy('reset')
  assert.equal((await join.done).reason, 'unreachable')
  assert.equal(await opens.closed, undefined)
  await goesOn(one, '')
})

test('what comes meanwhile is there in its order: bytes, bytes beyond maxBytes, a FIN, a reset', async () => {
  const options: JoinOptions = { aToB: { maxBytes: 7 } }
  const { opens, accepts } = await lanePair(false)
  const visit = opens.lane.open(Buffer.from('never'))
  accepts.lane.destroy('reset')
  await opens.closed
  const one = await visitor('0123456789')
  one.peer.end('abcdef')
  await one.endpoint.peek(16, 5_000)
  assert.equal((await plane.join(one.endpoint, visit, options).done).reason, 'unreachable')
  const how = deferred<string>()
  one.endpoint.onClosed(how.resolve)
  assert.equal(await how.promise, 'fin')
  assert.equal(String(await readAllOf(one.endpoint)), '0123456789abcdef')
  one.endpoint.destroy()

  const again = await lanePair(false)
  const two = await visitor()
  const join = plane.join(two.endpoint, again.opens.lane.open(Buffer.from('never')))
  again.opens.lane.destroy('reset')
  assert.equal((await join.done).reason, 'unreachable')
  const gone = deferred<string>()
  two.endpoint.onClosed(gone.resolve)
  two.peer.resetAndDestroy()
  assert.equal(await gone.promise, 'reset')
  two.endpoint.destroy()
})

test('a visitor of whom anything was handed on, or to whom, is lost with the lane', async () => {
  const ways: readonly ((visitor: Pair, service: Endpoint) => Promise<void>)[] = [
    async ({ peer }, service) => {
      peer.write('x')
      await service.read(5_000)
    },
    async ({ peer }, service) => {
      service.write(Buffer.from('220 hello'))
      await new Promise((resolve) => peer.once('readable', resolve))
    },
  ]
  for (const way of ways) {
    const { opens, accepts } = await lanePair(false)
    const one = await acceptPair(plane)
    const join = plane.join(one.endpoint, opens.lane.open(Buffer.from('first')))
    const { visit } = await accepts.visits.next()
    await way(one, visit)
    accepts.lane.destroy('reset')
    assert.equal((await join.done).reason, 'reset')
    await assert.rejects(one.endpoint.read(5_000))
    one.peer.destroy()
  }
})

test('a visit that its peer resets is no lane that was lost', async () => {
  const { opens, accepts } = await lanePair(false)
  const one = await acceptPair(plane)
  const join = plane.join(one.endpoint, opens.lane.open(Buffer.from('first')))
  const { visit } = await accepts.visits.next()
  visit.destroy('reset')
  assert.equal((await join.done).reason, 'reset')
  await opens.frees.next()
  opens.lane.destroy()
  one.peer.destroy()
})

test('the visitor goes back before it is told, and can be joined again from there', async () => {
  const end = await againstFrames('opens')
  const one = await visitor()
  const told: string[] = []
  const over = deferred<void>()
  plane.join(one.endpoint, end.lane.open(Buffer.from('never')), {
    onEnd: ({ reason }) => {
      told.push(reason)
      void goesOn(one, 'head ').then(over.resolve)
    },
  })
  end.lane.destroy('reset')
  await over.promise
  assert.deepEqual(told, ['unreachable'])
})
