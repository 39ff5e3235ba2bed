import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import type { Endpoint, JoinResult } from '../../../src/dataplane/types.ts'
import { acceptPair, deferred, failure, readAll } from '../pair.ts'
import { connection, keyed, type LaneEnd, laneEnd, lanePair, plane, readAllOf } from './lane-bed.ts'

const live: LaneEnd[] = []
after(() => {
  for (const { lane } of live) lane.destroy('reset')
})

async function pair(tls: boolean): ReturnType<typeof lanePair> {
  const made = await lanePair(tls)
  live.push(made.opens, made.accepts)
  return made
}

const start = Buffer.from('start')

/** A visit on both ends: what the relay has and what the agent has. */
async function visit({ opens, accepts }: Awaited<ReturnType<typeof lanePair>>): Promise<readonly [Endpoint, Endpoint]> {
  const near = opens.lane.open(start)
  near.onClosed(() => {})
  const far = await accepts.visits.next()
  assert.deepEqual(far.start, start)
  return [near, far.visit]
}

for (const tls of [false, true]) {
  const on = tls ? 'TLS' : 'plain'

  test(`${on}: visits one after another, each with its own bytes`, { timeout: 60_000 }, async () => {
    const lane = await pair(tls)
    const sizes = [0, 1, 5, 1_000, 65_536, 70_000, 300_000]
    for (let key = 1; key <= 40; key++) {
      const size = sizes[key % sizes.length] ?? 0
      const back = sizes[(key * 3) % sizes.length] ?? 0
      const visitor = await acceptPair(plane)
      const service = await acceptPair(plane)
      const near = lane.opens.lane.open(Buffer.from(`visit ${key}`))
      assert.equal(lane.opens.lane.free, false)
      const results: JoinResult[] = []
      plane.join(visitor.endpoint, near, { onEnd: (result) => results.push(result) })
      const { visit: far, start: said } = await lane.accepts.visits.next()
      assert.equal(String(said), `visit ${key}`)
      const join = plane.join(far, service.endpoint)
      visitor.peer.end(keyed(key, size))
      service.peer.end(keyed(100 + key, back))
      const [at, atBack] = await Promise.all([readAll(service.peer), readAll(visitor.peer)])
      assert.ok(at.equals(keyed(key, size)), `bytes of visit ${key}`)
      assert.ok(atBack.equals(keyed(100 + key, back)), `bytes back of visit ${key}`)
      const result = await join.done
      assert.deepEqual([result.reason, result.aToB, result.bToA], ['eof', BigInt(size), BigInt(back)])
      await lane.opens.frees.next()
      assert.deepEqual(
        results.map(({ reason, aToB, bToA }) => [reason, aToB, bToA]),
        [['eof', BigInt(size), BigInt(back)]],
        'told before the lane is free',
      )
      assert.equal(lane.opens.lane.free, true)
    }
    assert.equal(lane.accepts.visits.length, 0)
  })

  test(`${on}: half-close both ways`, { timeout: 30_000 }, async () => {
    const lane = await pair(tls)
    for (const firstNear of [true, false]) {
      const ends = await visit(lane)
      const [first, second] = firstNear ? ends : [ends[1], ends[0]]
      const peers = [await acceptPair(plane), await acceptPair(plane)] as const
      plane.join(peers[0].endpoint, first)
      plane.join(second, peers[1].endpoint)
      peers[0].peer.end('question')
      assert.equal(String(await readAll(peers[1].peer)), 'question')
      peers[1].peer.end('answer')
      assert.equal(String(await readAll(peers[0].peer)), 'answer')
      await lane.opens.frees.next()
    }
  })

  test(`${on}: a reset goes through both ways, behind what came before it, and the lane lives on`, {
    timeout: 30_000,
  }, async () => {
    const lane = await pair(tls)
    for (let round = 0; round < 4; round++) {
      const ends = await visit(lane)
      const [first, second] = round % 2 === 0 ? ends : [ends[1], ends[0]]
      const from = await acceptPair(plane)
      const to = await acceptPair(plane)
      const one = plane.join(from.endpoint, first)
      const two = plane.join(second, to.endpoint)
      // In the later rounds behind the FIN of the other side.
      if (round >= 2) {
        to.peer.end()
        await readAll(from.peer)
      }
      from.peer.write(keyed(round, 50_000))
      let got = 0
      const chunks: Buffer[] = []
      const all = deferred<void>()
      to.peer.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        got += chunk.length
        if (got === 50_000) all.resolve()
      })
      const gone = failure(to.peer)
      await all.promise
      from.peer.resetAndDestroy()
      assert.equal(await gone, 'ECONNRESET')
      assert.ok(Buffer.concat(chunks).equals(keyed(round, 50_000)))
      assert.deepEqual([(await one.done).reason, (await two.done).reason], ['reset', 'reset'])
      await lane.opens.frees.next()
    }
    const [near, far] = await visit(lane)
    near.write(Buffer.from('alive'))
    assert.equal(String(await far.read(5_000)), 'alive')
  })
}

test('a visit is an endpoint: reads, writes, what its peer does, and what it is', async () => {
  const lane = await pair(true)
  const [near, far] = await visit(lane)
  assert.deepEqual([near.isVisit, far.isVisit, far.encrypted, far.tls?.version], [true, true, true, 'TLSv1.3'])
  const [one, other] = await connection(false)
  assert.equal(one.isVisit, false)
  for (const endpoint of [one, other]) endpoint.destroy()
  near.write(Buffer.from('GET / HTTP/1.1\r\n\r\nbody'))
  await near.flushed()
  const head = await far.readHead((bytes) => bytes.indexOf('\r\n\r\n') + 4, 1_000, 5_000)
  assert.equal(String(head), 'GET / HTTP/1.1\r\n\r\n')
  assert.equal(String(await far.peek(4, 5_000)), 'body')
  far.unread(Buffer.from('some'))
  assert.equal(String(await far.read(5_000)), 'some')
  assert.equal(String(await far.read(5_000)), 'body')
  const how = deferred<string>()
  far.onClosed(how.resolve)
  near.destroy('reset')
  assert.equal(await how.promise, 'reset')
  await assert.rejects(far.read(5_000), { code: 'ERR_ENDPOINT_RESET' })
  await assert.rejects(near.read(5_000), { code: 'ERR_ENDPOINT_CLOSED' })
  await lane.opens.frees.next()
})

test('what is no endpoint for it', async () => {
  const lane = await pair(false)
  const [near] = await visit(lane)
  await assert.rejects(plane.secure(near, { role: 'client', serverName: 'x', trust: { kind: 'none' } }), {
    code: 'ERR_OPTION',
  })
  assert.throws(() => plane.lane(near, 'opens', { onClosed() {} }), { code: 'ERR_OPTION' })
  assert.throws(() => lane.opens.lane.open(start), { code: 'ERR_OPTION' })
  assert.throws(() => lane.accepts.lane.open(start), { code: 'ERR_OPTION' })
  near.destroy('reset')
  await lane.opens.frees.next()
  assert.throws(() => lane.opens.lane.open(Buffer.alloc(0)), { code: 'ERR_FRAME_UNSENDABLE' })
  assert.throws(() => lane.opens.lane.open(Buffer.alloc(16_377)), { code: 'ERR_FRAME_UNSENDABLE' })
  assert.equal(lane.opens.lane.free, true)
  const [one, other] = await connection(false)
  one.destroy()
  assert.throws(() => plane.lane(one, 'opens', { onClosed() {} }), { code: 'ERR_ENDPOINT_CLOSED' })
  other.destroy()
})

test('a visit begins when it is used, and leaves nothing behind when it is not', async () => {
  const lane = await pair(false)
  for (const how of ['fin', 'reset'] as const) {
    lane.opens.lane.open(Buffer.from('never')).destroy(how)
    assert.equal(lane.opens.lane.free, false, 'not within the call')
    await lane.opens.frees.next()
  }
  const near = lane.opens.lane.open(Buffer.from('once'))
  await new Promise((resolve) => setImmediate(resolve))
  near.write(Buffer.from('x'))
  const far = await lane.accepts.visits.next()
  assert.equal(String(far.start), 'once')
  near.destroy()
  assert.equal(String(await far.visit.read(5_000)), 'x')
  far.visit.destroy()
  await Promise.all([lane.opens.frees.next(), lane.accepts.frees.next()])
})

test('what is written before goes first, what is unread are the first frames', async () => {
  const [near, far] = await connection(false)
  near.write(Buffer.from('hello'))
  const accepts = laneEnd(near, 'accepts')
  assert.equal(String(await far.read(5_000, 5)), 'hello')
  const opens = laneEnd(far, 'opens')
  live.push(opens, accepts)
  const visitor = opens.lane.open(start)
  visitor.write(Buffer.from('first'))
  const { visit: service } = await accepts.visits.next()
  assert.equal(String(await service.read(5_000)), 'first')
  service.destroy('fin')
  assert.equal((await visitor.read(5_000)).length, 0)
  visitor.destroy()
  await opens.frees.next()

  const [one, other] = await connection(false)
  const late = laneEnd(one, 'opens')
  const early = late.lane.open(start)
  early.write(Buffer.from('early'))
  await other.peek(18, 5_000)
  const then = laneEnd(other, 'accepts')
  live.push(late, then)
  const came = await then.visits.next()
  assert.equal(String(await came.visit.read(5_000)), 'early')
})

test('a visit whose far end does not read holds the near end back, within a bound', { timeout: 60_000 }, async () => {
  for (const tls of [false, true]) {
    const lane = await pair(tls)
    const [near, far] = await visit(lane)
    const from = await acceptPair(plane)
    const join = plane.join(from.endpoint, near)
    const total = 64 * 1024 * 1024
    const block = keyed(9, 1024 * 1024)
    let left = total / block.length
    const pour = (): void => {
      while (left > 0) {
        left -= 1
        if (!from.peer.write(block)) break
      }
      if (left === 0) from.peer.end()
    }
    from.peer.on('drain', pour)
    pour()
    // Still: nothing moves for half a second.
    for (let before = -1n; before !== join.bytes.aToB; ) {
      before = join.bytes.aToB
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    assert.ok(join.bytes.aToB < BigInt(total) / 2n, `${join.bytes.aToB} bytes went into nothing`)
    const to = await acceptPair(plane)
    const out = plane.join(far, to.endpoint)
    let got = 0
    to.peer.on('data', (chunk: Buffer) => {
      got += chunk.length
    })
    to.peer.resume()
    await once(to.peer, 'end')
    assert.equal(got, total)
    to.peer.end()
    assert.deepEqual([(await join.done).aToB, (await out.done).aToB], [BigInt(total), BigInt(total)])
    await lane.opens.frees.next()
  }
})

test('the agent cannot reach the service: the visitor is reset, and the lane lives on', async () => {
  const lane = await pair(false)
  const [near, far] = await visit(lane)
  const [dead, other] = await connection(false)
  const { remote } = dead
  for (const endpoint of [dead, other]) endpoint.destroy('reset')
  if (remote.family === 'unix') throw new Error('expected an IP address')
  const join = plane.joinTo(far, remote)
  assert.equal((await join.done).reason, 'unreachable')
  await assert.rejects(near.read(5_000), { code: 'ERR_ENDPOINT_RESET' })
  near.destroy()
  await lane.opens.frees.next()
  await visit(lane)
})

test('bytes that come before the service is reached are kept', async () => {
  const lane = await pair(false)
  const service = await plane.listen(
    { host: '127.0.0.1', port: 0 },
    {},
    ([endpoint]) => endpoint && arrived.resolve(endpoint),
  )
  const arrived = deferred<Endpoint>()
  if (service.address.family === 'unix') throw new Error('expected an IP address')
  const near = lane.opens.lane.open(start)
  near.write(keyed(3, 100_000))
  near.destroy('fin')
  const { visit: far } = await lane.accepts.visits.next()
  const join = plane.joinTo(far, service.address)
  const endpoint = await arrived.promise
  assert.ok((await readAllOf(endpoint)).equals(keyed(3, 100_000)))
  endpoint.destroy()
  assert.equal((await join.done).reason, 'eof')
  await lane.opens.frees.next()
  await service.close()
})

test('the end of a lane: both ends hear of it, its visit is reset', async () => {
  for (const how of ['fin', 'reset'] as const) {
    for (const side of ['opens', 'accepts'] as const) {
      const lane = await pair(false)
      const [near, far] = await visit(lane)
      near.write(Buffer.from('x'))
      await far.peek(1, 5_000)
      let told = false
      void lane[side].closed.then(() => {
        told = true
      })
      lane[side].lane.destroy(how)
      assert.equal(lane[side].lane.free, false)
      await lane[side === 'opens' ? 'accepts' : 'opens'].closed
      await assert.rejects(near.read(5_000), { code: 'ERR_ENDPOINT_RESET' })
      assert.equal(String(await far.read(5_000)), 'x')
      await assert.rejects(far.read(5_000), { code: 'ERR_ENDPOINT_RESET' })
      assert.equal(told, false, 'not after destroy()')
    }
  }
  const idle = await pair(false)
  idle.accepts.lane.destroy()
  await idle.opens.closed
  assert.equal(idle.opens.lane.free, false)
})
