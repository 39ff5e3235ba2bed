/** The pool of an agent whose proxy connections are lanes. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { MillraceError } from '../../src/errors.ts'
import type { Waiter } from '../../src/relay/carriers.ts'
import { ProxyPool, type ProxyPoolOptions } from '../../src/relay/proxy-pool.ts'
import type { StartProxy } from '../../src/wire/messages.ts'
import { FakeLane } from './fake-lane.ts'

class Bed {
  readonly requests: number[] = []
  readonly pool: ProxyPool
  /** All that the agent ever opened. */
  readonly lanes: FakeLane[] = []
  now = 0
  #visitors = 0

  constructor(t: TestContext, options: Partial<ProxyPoolOptions> = {}) {
    this.pool = new ProxyPool({
      limit: 64,
      waiters: 4096,
      waiterTimeoutMs: 10_000,
      maxRequested: 256,
      request: (count) => this.requests.push(count),
      now: () => this.now,
      ...options,
    })
    t.after(() => this.pool.close())
  }

  offer(encrypted = true): FakeLane {
    const lane = new FakeLane(this.pool, encrypted)
    this.lanes.push(lane)
    assert(this.pool.offer(lane))
    return lane
  }

  /** The agent opens all that was asked for. */
  answer(): void {
    const asked = this.asked
    this.requests.length = 0
    for (let i = 0; i < asked; i++) this.offer()
  }

  get asked(): number {
    return this.requests.reduce((sum, count) => sum + count, 0)
  }

  /** Lanes that are open. */
  get open(): readonly FakeLane[] {
    return this.lanes.filter(({ destroyed }) => !destroyed)
  }

  /** A visitor, whose name its lane will show. */
  visit(plainAllowed = false): { readonly name: string; readonly got: string[]; readonly waiter: Waiter | undefined } {
    this.#visitors++
    const name = `192.0.2.1:${this.#visitors}`
    const start: StartProxy = { type: 'StartProxy', Url: 'tcp://x:1', ClientAddr: name }
    const got: string[] = []
    const waiter = this.pool.carry({ plainAllowed, start: () => start }, (carrier) =>
      got.push(carrier instanceof MillraceError ? carrier.code : 'served'),
    )
    return { name, got, waiter }
  }

  /** The lane that serves a visitor. */
  laneOf(name: string): FakeLane {
    const lane = this.lanes.find(({ started }) => started.at(-1)?.ClientAddr === name)
    assert(lane !== undefined, `nobody serves ${name}`)
    return lane
  }

  second(): void {
    this.now += 1000
    this.pool.tick()
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a pool of lanes', () => {
  it('give nobody a lane that has died, though they have not been told yet', (t) => {
    const bed = new Bed(t)
    const dead = bed.offer()
    const returning = bed.offer()
    const { name, got } = bed.visit()
    assert.deepEqual(got, ['served'])
    assert.equal(bed.laneOf(name), returning)
    dead.usable = false
    const second = bed.visit()
    assert.deepEqual(second.got, [])
    assert.equal(dead.destroyed, true)
    returning.usable = false
    returning.leave()
    assert.deepEqual(second.got, [])
    assert.equal(returning.destroyed, true)
    bed.offer()
    assert.deepEqual(second.got, ['served'])
  })

  it('gives a lane to the next visitor when the one before is done', (t) => {
    const bed = new Bed(t)
    const lane = bed.offer()
    for (let i = 0; i < 300; i++) {
      assert.deepEqual(bed.visit().got, ['served'])
      assert.deepEqual([bed.pool.idle, bed.pool.busy], [0, 1])
      lane.leave()
      assert.deepEqual([bed.pool.idle, bed.pool.busy], [1, 0])
    }
    assert.equal(lane.started.length, 300)
    assert.equal(new Set(lane.started.map(({ ClientAddr }) => ClientAddr)).size, 300)
  })

  it('hands out the one first that came back last', (t) => {
    const bed = new Bed(t)
    const [a, b, c] = [bed.offer(), bed.offer(), bed.offer()]
    const visits = [bed.visit(), bed.visit(), bed.visit()]
    assert(visits.every(({ got }) => got[0] === 'served'))
    b.leave()
    c.leave()
    a.leave()
    assert.equal(bed.laneOf(bed.visit().name), a)
    assert.equal(bed.laneOf(bed.visit().name), c)
    assert.equal(bed.laneOf(bed.visit().name), b)
  })

  it('serves those who wait with what comes back, in the order of their coming', (t) => {
    const bed = new Bed(t)
    const lane = bed.offer()
    const visits = Array.from({ length: 50 }, () => bed.visit())
    for (const [index, { name, got }] of visits.entries()) {
      assert.deepEqual(got, ['served'])
      assert.equal(bed.laneOf(name), lane)
      assert.equal(bed.pool.waiting, visits.length - 1 - index)
      lane.leave()
    }
    assert.equal(bed.pool.idle, 1)
  })

  it('gives a plain lane that comes back to the first waiter who may use it', (t) => {
    const bed = new Bed(t)
    const plain = bed.offer(false)
    bed.visit(true)
    const strict = bed.visit(false)
    const lax = bed.visit(true)
    plain.leave()
    assert.deepEqual([strict.got, lax.got], [[], ['served']])
    plain.leave()
    assert.deepEqual(strict.got, [])
    assert.equal(bed.pool.idle, 1)
  })

  it('never hands out one that has died, and leaves one alone that dies under a visitor', (t) => {
    const bed = new Bed(t)
    const [idle, busy] = [bed.offer(), bed.offer()]
    const { name } = bed.visit()
    assert.equal(bed.laneOf(name), busy)
    busy.die()
    assert.equal(busy.destroyed, false)
    assert.deepEqual([bed.pool.idle, bed.pool.busy], [1, 0])
    idle.die()
    assert.equal(idle.destroyed, true)
    assert.equal(bed.pool.idle, 0)
    assert.deepEqual(bed.visit().got, [])
  })

  it('is a lane’s end where there are enough that wait', (t) => {
    const bed = new Bed(t, { limit: 2 })
    const lanes = Array.from({ length: 2 }, () => bed.offer())
    for (const _ of lanes) bed.visit()
    lanes.push(bed.offer(), bed.offer())
    assert.equal(bed.pool.idle, 2)
    lanes[0]?.leave()
    assert.deepEqual([lanes[0]?.destroyed, lanes[1]?.destroyed, bed.pool.idle], [true, false, 2])
  })

  it('closes the idle ones at its end, and the others when their visitors are done', (t) => {
    const bed = new Bed(t)
    const [idle, busy] = [bed.offer(), bed.offer()]
    bed.visit()
    const { got } = bed.visit()
    const waiting = bed.visit()
    idle.leave()
    assert.deepEqual(waiting.got, ['served'])
    idle.leave()
    bed.pool.close()
    assert.deepEqual([idle.destroyed, busy.destroyed], [true, false])
    busy.leave()
    assert.equal(busy.destroyed, true)
    assert.deepEqual(got, ['served'])
    assert.equal(bed.pool.offer(new FakeLane(bed.pool)), false)
    assert.deepEqual(bed.visit().got, ['ERR_POOL_CLOSED'])
  })

  it('needs few for many visitors of whom few are there at once', async (t) => {
    const bed = new Bed(t)
    bed.pool.open()
    bed.answer()
    const present: string[] = []
    // 5 000 visitors a second, of whom 32 are served at once, for ten seconds; a lane takes 20 ms to open.
    for (let ms = 0; ms < 10_000; ms++) {
      bed.now += 1
      for (let i = 0; i < 5; i++) {
        const { name, got } = bed.visit()
        if (got.length > 0) present.push(name)
        while (present.length > 32) bed.laneOf(present.shift() ?? '').leave()
      }
      await Promise.resolve()
      if (ms % 20 === 0) {
        const before = bed.lanes.length
        bed.answer()
        for (const lane of bed.lanes.slice(before))
          if (lane.started.length > 0) present.push(lane.started[0]?.ClientAddr ?? '')
      }
      if (ms % 1000 === 999) bed.pool.tick()
    }
    assert.equal(bed.pool.waiting, 0)
    assert(bed.open.length >= 32 && bed.open.length <= 32 + 40, `${bed.open.length} lanes`)
    assert(bed.lanes.length <= 150, `${bed.lanes.length} were opened`)
  })

  it('grows with a burst, keeps enough for one like it, and shrinks to its floor when all is quiet', async (t) => {
    const bed = new Bed(t, { floor: 3 })
    bed.pool.open()
    bed.answer()
    assert.equal(bed.open.length, 3)
    for (let i = 0; i < 20; i++) bed.visit()
    await turn()
    bed.answer()
    assert.equal(bed.pool.waiting, 0)
    bed.second()
    bed.answer()
    for (const lane of bed.open) if (lane.started.length > 0) lane.leave()
    const kept = bed.pool.idle
    assert(kept >= 20, `${kept} after 20 at once`)
    for (let i = 0; i < 20; i++) assert.deepEqual(bed.visit().got, ['served'])
    for (const lane of bed.open) if (lane.started.length > 0) lane.leave()
    bed.requests.length = 0
    for (let i = 0; i < 120; i++) bed.second()
    assert.equal(bed.pool.idle, 3)
    assert.equal(bed.open.length, 3)
    assert.equal(bed.asked, 0)
  })
})
