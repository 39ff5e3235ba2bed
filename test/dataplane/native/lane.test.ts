import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DataPlane, Endpoint, JoinResult, Lane } from '../../../src/dataplane/types.ts'
import { acceptPair, failure, readAll, socketPair } from '../pair.ts'
import { nativePlane, skip } from './plane.ts'
import { nodeServer, securedPair } from './sockets.ts'

interface Visit {
  readonly endpoint: Endpoint
  readonly start: string
}

/** Both ends of a lane, with what has happened to them, in words. */
interface Ends {
  readonly opens: Lane
  readonly accepts: Lane
  readonly told: string[]
  /** The next visit that has come, or will. */
  visit(): Promise<Visit>
  /** Resolves when this has been told so often in all. */
  when(what: string, times?: number): Promise<void>
}

function lanes(plane: DataPlane, near: Endpoint, far: Endpoint): Ends {
  const told: string[] = []
  const visits: Visit[] = []
  const waiters: (() => void)[] = []
  const tell = (what: string): void => {
    told.push(what)
    for (const waiter of waiters.splice(0)) waiter()
  }
  const change = (): Promise<void> => new Promise((resolve) => waiters.push(resolve))
  const opens = plane.lane(near, 'opens', { onFree: () => tell('free'), onClosed: () => tell('near closed') })
  const accepts = plane.lane(far, 'accepts', {
    onVisit: (endpoint, start) => {
      visits.push({ endpoint, start: start.toString() })
      tell('visit')
    },
    onClosed: () => tell('far closed'),
  })
  return {
    opens,
    accepts,
    told,
    async visit() {
      for (;;) {
        const next = visits.shift()
        if (next !== undefined) return next
        await change()
      }
    },
    async when(what, times = 1) {
      while (told.filter((one) => one === what).length < times) await change()
    },
  }
}

async function plainLanes(plane: DataPlane): Promise<Ends> {
  const [near, far] = await socketPair()
  return lanes(plane, plane.adopt(near), plane.adopt(far))
}

describe('lanes of the native data plane', { skip }, () => {
  it('carry one visitor after another, plain and in TLS', async () => {
    const plane = nativePlane()
    const secured = await securedPair(plane)
    for (const ends of [await plainLanes(plane), lanes(plane, secured.near, secured.far)]) {
      const { server, port } = await nodeServer((socket) => socket.pipe(socket))
      for (let number = 1; number <= 5; number++) {
        const { endpoint, peer } = await acceptPair(plane)
        const results: Promise<JoinResult>[] = []
        results.push(plane.join(endpoint, ends.opens.open(Buffer.from(`visit ${number}`))).done)
        const { endpoint: visit, start } = await ends.visit()
        assert.equal(start, `visit ${number}`)
        assert.equal(visit.isVisit, true)
        results.push(plane.joinTo(visit, { host: '127.0.0.1', port }).done)
        const sent = Buffer.alloc(300_000, number)
        const answer = readAll(peer)
        peer.end(sent)
        assert.deepEqual(await answer, sent)
        for (const { reason, aToB, bToA } of await Promise.all(results)) {
          assert.deepEqual([reason, aToB, bToA], ['eof', 300_000n, 300_000n])
        }
        await ends.when('free', number)
        assert.equal(ends.opens.free, true)
        peer.destroy()
      }
      ends.opens.destroy()
      await ends.when('far closed')
      server.close()
    }
  })

  it('are read and written by the caller before a join, and by one that drives it', async () => {
    const plane = nativePlane()
    const ends = await plainLanes(plane)
    const near = ends.opens.open(Buffer.from('start'))
    near.write(Buffer.from('question'))
    const { endpoint: far } = await ends.visit()
    assert.equal((await far.read(30_000)).toString(), 'question')
    far.write(Buffer.from('answer'))
    await far.flushed()
    assert.equal((await near.peek(6, 30_000)).toString(), 'answer')
    const { endpoint, peer } = await acceptPair(plane)
    const join = plane.join(endpoint, near, { aToB: { drive: 'caller' } })
    peer.write('body')
    near.write(await endpoint.read(30_000))
    await near.flushed()
    assert.equal((await far.read(30_000)).toString(), 'body')
    join.finish('aToB', 'fin')
    assert.equal((await far.read(30_000)).length, 0)
    const all = readAll(peer)
    far.destroy()
    assert.equal((await all).toString(), 'answer')
    peer.end()
    assert.equal((await join.done).reason, 'eof')
    await ends.when('free')
    ends.accepts.destroy('reset')
    await ends.when('near closed')
    assert.equal(ends.opens.free, false)
    peer.destroy()
  })

  it('tell a visit of its end, and are free again when both ends have left it', async () => {
    const plane = nativePlane()
    const ends = await plainLanes(plane)
    const near = ends.opens.open(Buffer.from('start'))
    const fin = new Promise((resolve) => near.onClosed(resolve))
    const first = await ends.visit()
    first.endpoint.destroy()
    assert.equal(await fin, 'fin')
    near.destroy()
    await ends.when('free')
    const again = ends.opens.open(Buffer.from('again'))
    const reset = new Promise((resolve) => again.onClosed(resolve))
    const second = await ends.visit()
    second.endpoint.destroy('reset')
    assert.equal(await reset, 'reset')
    await assert.rejects(again.read(30_000), { code: 'ERR_ENDPOINT_RESET' })
    again.destroy()
    await ends.when('free', 2)
    // One that never began leaves nothing behind.
    ends.opens.open(Buffer.from('never')).destroy()
    await ends.when('free', 3)
    const third = ends.opens.open(Buffer.from('third'))
    third.write(Buffer.from('x'))
    const last = await ends.visit()
    assert.equal(last.start, 'third')
    ends.opens.destroy('reset')
    await assert.rejects(third.read(30_000), { code: 'ERR_ENDPOINT_RESET' })
    last.endpoint.destroy()
    await ends.when('far closed')
    assert.equal(ends.told.includes('near closed'), false)
  })

  it('leave a visitor of whom they have taken nothing', async () => {
    const plane = nativePlane()
    const [dead, alive] = [await plainLanes(plane), await plainLanes(plane)]
    const { endpoint, peer } = await acceptPair(plane)
    endpoint.unread(Buffer.from('head '))
    const lost = plane.join(endpoint, dead.opens.open(Buffer.from('first')))
    // The head has been handed over: here it is not.
    assert.equal((await dead.visit()).start, 'first')
    dead.accepts.destroy('reset')
    assert.equal((await lost.done).reason, 'reset')
    peer.destroy()

    const ends = await plainLanes(plane)
    const other = await acceptPair(plane)
    const first = plane.join(other.endpoint, ends.opens.open(Buffer.from('first')))
    await ends.visit()
    ends.accepts.destroy('reset')
    assert.equal((await first.done).reason, 'unreachable')
    other.endpoint.unread(Buffer.from('head '))
    const second = plane.join(other.endpoint, alive.opens.open(Buffer.from('second')))
    other.peer.end('body')
    const visit = await alive.visit()
    let got = ''
    for (let bytes = await visit.endpoint.read(30_000); bytes.length > 0; bytes = await visit.endpoint.read(30_000)) {
      got += bytes.toString()
    }
    assert.equal(got, 'head body')
    visit.endpoint.destroy()
    assert.equal((await second.done).reason, 'eof')
    alive.opens.destroy()
    other.peer.destroy()

    // One that is gone already takes not even the head.
    const gone = await plainLanes(plane)
    const third = await acceptPair(plane)
    third.endpoint.unread(Buffer.from('whole'))
    const visitOfGone = gone.opens.open(Buffer.from('never'))
    gone.accepts.destroy('reset')
    await gone.when('near closed')
    assert.equal((await plane.join(third.endpoint, visitOfGone).done).reason, 'unreachable')
    assert.equal((await third.endpoint.read(30_000)).toString(), 'whole')
    third.endpoint.destroy()
    third.peer.destroy()
  })

  it('refuse what is no use of them', async () => {
    const plane = nativePlane()
    const ends = await plainLanes(plane)
    assert.throws(() => ends.accepts.open(Buffer.from('x')), { code: 'ERR_OPTION' })
    assert.throws(() => ends.opens.open(Buffer.alloc(0)), { code: 'ERR_FRAME_UNSENDABLE' })
    assert.throws(() => ends.opens.open(Buffer.alloc(16_377)), { code: 'ERR_FRAME_UNSENDABLE' })
    const visit = ends.opens.open(Buffer.alloc(16_376, 120))
    assert.throws(() => ends.opens.open(Buffer.from('x')), { code: 'ERR_OPTION' })
    assert.throws(() => plane.lane(visit, 'opens', { onClosed: () => {} }), { code: 'ERR_OPTION' })
    const options = { role: 'client', serverName: 'x', trust: { kind: 'none' } } as const
    await assert.rejects(plane.secure(visit, options), { code: 'ERR_OPTION' })
    visit.write(Buffer.from('y'))
    assert.equal((await ends.visit()).start.length, 16_376)
    // A connection that is gone makes a lane that is gone.
    const { endpoint, peer } = await acceptPair(plane)
    const reset = new Promise((resolve) => endpoint.onClosed(resolve))
    peer.resetAndDestroy()
    await reset
    let closed = false
    const lane = plane.lane(endpoint, 'opens', { onClosed: () => (closed = true) })
    assert.equal(closed, false)
    await new Promise((resolve) => setImmediate(resolve))
    while (lane.free) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(closed, true)
    // A peer that speaks no frames.
    const other = await acceptPair(plane)
    const fault = new Promise<void>((resolve) => {
      plane.lane(other.endpoint, 'accepts', { onClosed: resolve })
    })
    const code = failure(other.peer)
    other.peer.write('no frame at all')
    await fault
    assert.equal(await code, 'ECONNRESET')
    ends.opens.destroy()
    // Its visit is nobody's here: a lane lives as long as that.
    ends.accepts.destroy()
  })
})
