import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Endpoint } from '../../../src/dataplane/types.ts'
import { encodeLaneHeader, encodeLaneReset, type LaneReset } from '../../../src/wire/lane-frame.ts'
import { acceptPair, failure, readAll } from '../pair.ts'
import { againstFrames, keyed, plane } from './lane-bed.ts'

const ends: (() => void)[] = []
after(() => {
  for (const end of ends) end()
})

async function against(...how: Parameters<typeof againstFrames>): ReturnType<typeof againstFrames> {
  const made = await againstFrames(...how)
  ends.push(() => {
    made.lane.destroy('reset')
    made.peer.socket.destroy()
  })
  return made
}

/** A frame with its header. */
function frame(type: 'open' | 'data' | 'end' | 'reset', visit: number, payload: string | Buffer = ''): Buffer {
  const body = Buffer.from(payload)
  return Buffer.concat([encodeLaneHeader({ type, visit, length: body.length }), body])
}

function reset(visit: number, why: LaneReset = 'connection'): Buffer {
  return frame('reset', visit, encodeLaneReset(why))
}

async function events(peer: Awaited<ReturnType<typeof againstFrames>>['peer'], count: number): Promise<string[]> {
  const told: string[] = []
  while (told.length < count) {
    const event = await peer.events.next()
    if (event.kind === 'data') told.push(`data ${String(event.bytes)}`)
    else if (event.kind === 'open') told.push(`open ${String(event.payload)}`)
    else told.push(event.kind === 'reset' ? `reset ${event.reason}` : event.kind)
  }
  return told
}

async function visitOn(end: Awaited<ReturnType<typeof againstFrames>>, number: number): Promise<Endpoint> {
  end.peer.frames.open(Buffer.from(`visit ${number}`))
  const { visit, start } = await end.visits.next()
  assert.equal(String(start), `visit ${number}`)
  return visit
}

const faults: readonly (readonly [string, Buffer])[] = [
  ['no frame at all', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['data without a visit', frame('data', 0, 'x')],
  ['an END without a visit', frame('end', 0)],
  ['a RESET without a visit', reset(0)],
  ['the wrong number', frame('open', 2, 'x')],
  ['an OPEN within a visit', Buffer.concat([frame('open', 1, 'x'), frame('open', 2, 'x')])],
  ['data of another visit', Buffer.concat([frame('open', 1, 'x'), frame('data', 2, 'x')])],
  ['data behind END', Buffer.concat([frame('open', 1, 'x'), frame('end', 1), frame('data', 1, 'x')])],
  ['an END behind RESET', Buffer.concat([frame('open', 1, 'x'), reset(1), frame('end', 1)])],
]

for (const [what, bytes] of faults) {
  test(`a peer's fault ends the lane: ${what}`, async () => {
    const end = await against('accepts')
    end.peer.socket.write(bytes)
    await end.closed
    // Node takes a reset that comes with bytes, such as our own RESET, for an end.
    assert.match(await end.peer.gone, /^(?:ECONNRESET|end)$/)
    assert.equal(end.tally.count('lanes.faults'), 1)
    assert.equal(end.lane.free, false)
  })
}

test('a fault resets the visit, behind what came before it', async () => {
  const end = await against('accepts')
  const visit = await visitOn(end, 1)
  const { endpoint, peer } = await acceptPair(plane)
  const join = plane.join(visit, endpoint)
  const chunks: Buffer[] = []
  peer.on('data', (chunk: Buffer) => chunks.push(chunk))
  const gone = failure(peer)
  end.peer.socket.write(Buffer.concat([frame('data', 1, 'before'), frame('data', 3, 'never')]))
  assert.equal(await gone, 'ECONNRESET')
  assert.equal(String(Buffer.concat(chunks)), 'before')
  const { reason, aToB } = await join.done
  assert.deepEqual([reason, aToB], ['reset', 6n])
  await end.closed
})

test('a peer that opens visits on a lane of ours is at fault', async () => {
  const end = await against('opens')
  end.peer.socket.write(frame('open', 1, 'x'))
  await end.closed
  assert.equal(end.tally.count('lanes.faults'), 1)
})

test('OPEN and the first bytes leave together; a visit that is only listened to leaves alone', async () => {
  const end = await against('opens')
  const chunks: Buffer[] = []
  end.peer.socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const one = end.lane.open(Buffer.from('one'))
  one.write(Buffer.from('first '))
  one.write(Buffer.from('bytes'))
  assert.deepEqual(await events(end.peer, 3), ['open one', 'data first ', 'data bytes'])
  assert.equal(chunks.length, 1, 'in one piece')
  one.destroy('reset')
  assert.deepEqual(await events(end.peer, 1), ['reset given-up'])
  await end.frees.next()
  const two = end.lane.open(Buffer.from('two'))
  const { endpoint, peer } = await acceptPair(plane)
  const join = plane.join(endpoint, two)
  assert.deepEqual(await events(end.peer, 1), ['open two'])
  end.peer.frames.data(Buffer.from('220 hello'))
  end.peer.frames.end()
  assert.equal(String(await readAll(peer)), '220 hello')
  peer.end()
  assert.deepEqual(await events(end.peer, 1), ['end'])
  assert.equal((await join.done).reason, 'eof')
  await end.frees.next()
  assert.equal(end.tally.count('lanes.visits'), 2)
})

test('what the peer is told of a visit that is not ended', async () => {
  const end = await against('opens')
  const ways: readonly (readonly [string, (visit: Endpoint) => Promise<void>])[] = [
    ['given-up', async (visit) => visit.destroy('reset')],
    [
      'given-up',
      async (visit) => {
        const { endpoint } = await acceptPair(plane)
        const join = plane.join(endpoint, visit)
        join.destroy()
        await join.done
      },
    ],
    [
      'connection',
      async (visit) => {
        const { endpoint, peer } = await acceptPair(plane)
        const join = plane.join(endpoint, visit)
        peer.resetAndDestroy()
        await join.done
      },
    ],
    [
      'unreachable',
      async (visit) => {
        const { endpoint, peer } = await acceptPair(plane)
        const { local } = endpoint
        endpoint.destroy()
        peer.destroy()
        if (local.family === 'unix') throw new Error('expected an IP address')
        await plane.joinTo(visit, { host: local.host, port: local.port }).done
      },
    ],
  ]
  for (const [why, finish] of ways) {
    const visit = end.lane.open(Buffer.from('x'))
    visit.write(Buffer.from('y'))
    assert.deepEqual(await events(end.peer, 2), ['open x', 'data y'])
    await finish(visit)
    assert.deepEqual(await events(end.peer, 1), [`reset ${why}`])
    await end.frees.next()
  }
})

test('a RESET that crosses an END is late, and meets neither the lane nor the next visit', async () => {
  const end = await against('accepts')
  const first = await visitOn(end, 1)
  end.peer.frames.data(Buffer.from('one'))
  end.peer.frames.end()
  assert.equal(String(await first.read(5_000)), 'one')
  first.destroy()
  assert.deepEqual(await events(end.peer, 1), ['end'])
  await end.frees.next()
  // It had left before our END was there.
  end.peer.socket.write(reset(1))
  const second = await visitOn(end, 2)
  end.peer.frames.end()
  assert.equal((await second.read(5_000)).length, 0)
  second.destroy()
  assert.deepEqual(await events(end.peer, 1), ['end'])
  await end.frees.next()
  end.peer.socket.write(Buffer.concat([frame('open', 3, 'visit 3'), reset(2), frame('data', 3, 'three')]))
  const { visit: third } = await end.visits.next()
  assert.equal(String(await third.read(5_000)), 'three')
  assert.deepEqual([end.tally.count('lanes.faults'), end.lane.free], [0, false])
})

test('the next visit waits until the join of the one before has told its end', async () => {
  const end = await against('accepts')
  const first = await visitOn(end, 1)
  const service = await acceptPair(plane)
  const order: string[] = []
  const join = plane.join(first, service.endpoint, { onEnd: () => order.push('end of the first') })
  service.peer.end()
  assert.deepEqual(await events(end.peer, 1), ['end'])
  // The service reads nothing: the join has the visit's bytes, and its end, and goes on.
  const block = keyed(1, 900_000)
  for (let count = 0; count < 20; count++) end.peer.frames.data(block)
  end.peer.frames.end()
  end.peer.frames.open(Buffer.from('second'))
  end.peer.frames.data(Buffer.from('two'))
  end.peer.frames.end()
  const second = end.visits.next().then(({ visit, start }) => {
    order.push(`visit ${String(start)}`)
    return visit
  })
  for (let before = -1n; before !== join.bytes.aToB; ) {
    before = join.bytes.aToB
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  assert.deepEqual(order, [])
  const all = await readAll(service.peer)
  assert.ok(all.equals(Buffer.concat(Array.from({ length: 20 }, () => block))))
  const visit = await second
  assert.deepEqual(order, ['end of the first', 'visit second'])
  assert.equal(String(await visit.read(5_000)), 'two')
  visit.destroy()
  await end.frees.next()
})

test('a peer that does not end a visit after a RESET loses the lane', { timeout: 30_000 }, async () => {
  const end = await against('accepts', 300)
  // Behind the back of the peer's codec, which would answer.
  end.peer.socket.write(frame('open', 1, 'x'))
  const { visit } = await end.visits.next()
  visit.destroy('reset')
  end.peer.socket.write(frame('data', 1, keyed(1, 100_000)))
  await end.closed
  assert.deepEqual([end.tally.count('lanes.stuck'), end.tally.count('lanes.faults')], [1, 0])
  assert.equal(await end.peer.gone, 'ECONNRESET')
})

test('nor does one that takes nothing after its own', { timeout: 30_000 }, async () => {
  const end = await against('opens', 300)
  const visit = end.lane.open(Buffer.from('x'))
  visit.write(Buffer.from('y'))
  assert.deepEqual(await events(end.peer, 2), ['open x', 'data y'])
  end.peer.socket.pause()
  const { endpoint, peer } = await acceptPair(plane)
  const join = plane.join(endpoint, visit)
  const block = keyed(1, 1024 * 1024)
  for (let count = 0; count < 16; count++) peer.write(block)
  for (let before = -1n; before !== join.bytes.aToB; ) {
    before = join.bytes.aToB
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  end.peer.frames.reset('connection')
  await end.closed
  assert.equal((await join.done).reason, 'reset')
  assert.equal(end.tally.count('lanes.stuck'), 1)
})

test('after an orderly end a peer may go on for 64 KiB, and no longer', async () => {
  const end = await against('accepts')
  const first = await visitOn(end, 1)
  first.write(Buffer.from('last words'))
  first.destroy('fin')
  assert.deepEqual(await events(end.peer, 2), ['data last words', 'end'])
  end.peer.frames.data(keyed(1, 60_000))
  end.peer.frames.end()
  await end.frees.next()
  const second = await visitOn(end, 2)
  second.destroy('fin')
  end.peer.frames.data(keyed(2, 70_000))
  assert.deepEqual(await events(end.peer, 2), ['end', 'reset given-up'])
  await end.frees.next()
})

test('after an orderly end a peer may go on for 2 s, and no longer', { timeout: 30_000 }, async () => {
  const end = await against('accepts')
  const visit = await visitOn(end, 1)
  const before = performance.now()
  visit.destroy('fin')
  assert.deepEqual(await events(end.peer, 2), ['end', 'reset given-up'])
  assert.ok(performance.now() - before > 1_900)
})

test('the peer ends an idle lane, or in the middle of a visit', async () => {
  const idle = await against('accepts')
  idle.peer.socket.end()
  await idle.closed
  assert.equal(await idle.peer.gone, 'end')
  const busy = await against('accepts')
  const visit = await visitOn(busy, 1)
  busy.peer.socket.end(frame('data', 1, 'rest'))
  await busy.closed
  assert.equal(String(await visit.read(5_000)), 'rest')
  await assert.rejects(visit.read(5_000), { code: 'ERR_ENDPOINT_RESET' })
  assert.equal(busy.tally.count('lanes.faults'), 0)
})
