import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Endpoint } from '../../src/dataplane/types.ts'
import { MillraceError } from '../../src/errors.ts'
import type { OnCarrier, Waiter } from '../../src/relay/carriers.ts'
import { OneShot } from '../../src/relay/proxy-carriers.ts'
import { ProxyPool, type ProxyPoolOptions } from '../../src/relay/proxy-pool.ts'
import type { StartProxy } from '../../src/wire/messages.ts'
import { FakeEndpoint } from './fake-endpoint.ts'

const startProxy: StartProxy = { type: 'StartProxy', Url: 'tcp://x:1', ClientAddr: '127.0.0.1:1' }

class Bed {
  readonly requests: number[] = []
  /** The pool's clock, ms. */
  now = 0
  readonly pool: ProxyPool

  constructor(t: TestContext, options: Partial<ProxyPoolOptions> = {}) {
    this.pool = new ProxyPool({
      limit: 8,
      waiters: 4,
      waiterTimeoutMs: 10_000,
      maxRequested: 100,
      request: (count) => this.requests.push(count),
      now: () => this.now,
      ...options,
    })
    t.after(() => this.pool.close())
  }

  offer(encrypted = true): FakeEndpoint {
    const proxy = new FakeEndpoint(encrypted)
    assert(this.pool.offer(new OneShot(proxy, this.pool)))
    return proxy
  }

  /** A second passes. */
  second(): void {
    this.now += 1000
    this.pool.tick()
  }

  /** All that was asked for. */
  get requested(): number {
    return this.requests.reduce((sum, count) => sum + count, 0)
  }

  carry(plainAllowed: boolean, onCarrier: OnCarrier): Waiter | undefined {
    return this.pool.carry({ plainAllowed, start: () => startProxy }, onCarrier)
  }

  /** A visitor that waits. */
  waiter(): Waiter {
    const waiter = this.carry(false, () => {})
    assert(waiter !== undefined)
    return waiter
  }

  take(plainAllowed = false): (Endpoint | string)[] {
    const got: (Endpoint | string)[] = []
    this.carry(plainAllowed, (proxy) => got.push(proxy instanceof MillraceError ? proxy.code : proxy))
    return got
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('ProxyPool', () => {
  it('asks for one proxy connection at the start, and for one more with each that is taken', async (t) => {
    const bed = new Bed(t)
    bed.pool.open()
    assert.deepEqual(bed.requests, [1])
    const proxy = bed.offer()
    assert.deepEqual(bed.take(), [proxy])
    await turn()
    assert.deepEqual(bed.requests, [1, 1])
  })

  it('asks once for all visitors of a turn', async (t) => {
    const bed = new Bed(t)
    bed.take()
    bed.take()
    bed.take()
    await turn()
    assert.deepEqual(bed.requests, [4])
    bed.pool.close()
  })

  it('refills a reserve by quarters while nobody waits', async (t) => {
    const bed = new Bed(t)
    for (let i = 0; i < 8; i++) bed.pool.cancel(bed.waiter())
    bed.second()
    for (let i = 0; i < 8; i++) bed.offer()
    bed.requests.length = 0
    bed.take()
    await turn()
    assert.deepEqual(bed.requests, [])
    bed.take()
    await turn()
    assert.deepEqual(bed.requests, [2])
  })

  it('asks for at most maxRequested at once, and for the rest as they come', async (t) => {
    const bed = new Bed(t, { maxRequested: 2 })
    const visitors = [bed.take(), bed.take(), bed.take()]
    await turn()
    assert.deepEqual(bed.requests, [2])
    bed.offer()
    await turn()
    assert.deepEqual(bed.requests, [2, 1])
    bed.offer()
    bed.offer()
    await turn()
    for (const got of visitors) assert.equal(got.length, 1)
  })

  it('serves visitors in the order of their coming', (t) => {
    const bed = new Bed(t)
    const [first, second] = [bed.take(), bed.take()]
    const proxy = bed.offer()
    assert.deepEqual(first, [proxy])
    assert.deepEqual(second, [])
    bed.pool.close()
    assert.deepEqual(second, ['ERR_POOL_CLOSED'])
  })

  it('never hands out a connection that has ended or was reset', (t) => {
    const bed = new Bed(t)
    for (const how of ['fin', 'reset'] as const) {
      const dead = bed.offer()
      dead.die(how)
      assert.equal(dead.destroyed, 'fin')
      assert.equal(bed.pool.idle, 0)
    }
    assert.deepEqual(bed.take(), [])
    bed.pool.close()
  })

  it('leaves a connection alone that dies in the hands of its visitor', (t) => {
    const bed = new Bed(t)
    const proxy = bed.offer()
    bed.take()
    proxy.die('reset')
    assert.equal(proxy.destroyed, undefined)
  })

  it('does not keep asking an agent that drops every connection', async (t) => {
    const bed = new Bed(t)
    bed.pool.open()
    for (let i = 0; i < 5; i++) {
      bed.offer().die('fin')
      await turn()
    }
    assert.deepEqual(bed.requests, [1])
    bed.pool.tick()
    assert.deepEqual(bed.requests, [1, 1])
  })

  it('refuses visitors beyond its waiters', (t) => {
    const bed = new Bed(t, { waiters: 1 })
    bed.take()
    assert.deepEqual(bed.take(), ['ERR_POOL_FULL'])
    bed.pool.close()
  })

  it('tells visitors when their time is up, one by one', async (t) => {
    const bed = new Bed(t, { waiterTimeoutMs: 30, now: () => performance.now() })
    const first = bed.take()
    await new Promise((resolve) => setTimeout(resolve, 15))
    const codes: string[] = []
    await new Promise<void>((resolve) => {
      bed.carry(false, (proxy) => {
        assert(proxy instanceof MillraceError)
        codes.push(proxy.code)
        resolve()
      })
    })
    assert.deepEqual(first, ['ERR_POOL_TIMEOUT'])
    assert.deepEqual(codes, ['ERR_POOL_TIMEOUT'])
    assert.equal(bed.pool.waiting, 0)
  })

  it('forgets a visitor that left', (t) => {
    const bed = new Bed(t)
    const got: unknown[] = []
    const waiter = bed.carry(false, (proxy) => got.push(proxy))
    assert(waiter !== undefined)
    bed.pool.cancel(waiter)
    bed.offer()
    assert.deepEqual(got, [])
    assert.equal(bed.pool.idle, 1)
    bed.pool.close()
  })

  it('keeps plain and encrypted connections apart', (t) => {
    const bed = new Bed(t)
    const plain = bed.offer(false)
    const strict = bed.take(false)
    assert.deepEqual(strict, [])
    const encrypted = bed.offer(true)
    assert.deepEqual(strict, [encrypted])
    assert.deepEqual(bed.take(true), [plain])
    const lax = bed.take(true)
    const another = bed.offer(true)
    assert.deepEqual(lax, [another])
    bed.pool.close()
  })

  it('counts plain connections as reserve only while they serve all tunnels', (t) => {
    for (const serves of [true, false]) {
      const bed = new Bed(t, { plainServesAll: () => serves })
      bed.pool.open()
      bed.offer(false)
      bed.pool.tick()
      assert.deepEqual(bed.requests, serves ? [1] : [1, 1])
    }
  })

  it('keeps at most its limit, and nothing once closed', (t) => {
    const bed = new Bed(t, { limit: 2 })
    const kept = [bed.offer(), bed.offer()]
    assert.equal(bed.pool.offer(new OneShot(new FakeEndpoint(), bed.pool)), false)
    bed.pool.close()
    assert(kept.every((proxy) => proxy.destroyed === 'fin'))
    assert.equal(bed.pool.offer(new OneShot(new FakeEndpoint(), bed.pool)), false)
    assert.deepEqual(bed.take(), ['ERR_POOL_CLOSED'])
  })

  it('keeps a reserve for a burst like the last one, and lets it go later', async (t) => {
    const bed = new Bed(t, { limit: 8, waiters: 100 })
    for (let i = 0; i < 6; i++) bed.take()
    await turn()
    for (let i = 0; i < 7; i++) bed.offer()
    assert.equal(bed.pool.idle, 1)
    bed.second()
    assert.equal(bed.requested, 6 + 6)
    for (let i = 0; i < 5; i++) bed.offer()
    assert.equal(bed.pool.idle, 6)
    // At once a part of what is more than twice the need, after a minute the rest.
    for (let i = 0; i < 20; i++) bed.second()
    assert.equal(bed.pool.idle, 2)
    for (let i = 0; i < 45; i++) bed.second()
    assert.equal(bed.pool.idle, 1)
    assert.equal(bed.requested, 6 + 6)
  })

  it('keeps its floor without any visitor, and never more than its limit', (t) => {
    const bed = new Bed(t, { limit: 8, floor: 3, waiters: 100 })
    bed.pool.open()
    assert.deepEqual(bed.requests, [3])
    for (let i = 0; i < 3; i++) bed.offer()
    for (let i = 0; i < 300; i++) bed.second()
    assert.equal(bed.pool.idle, 3)
    for (let i = 0; i < 3; i++) bed.take()
    for (let i = 0; i < 50; i++) bed.pool.cancel(bed.waiter())
    bed.requests.length = 0
    bed.second()
    assert.equal(bed.requested, 8)
  })

  it('asks again for what did not come within 5 s', (t) => {
    const bed = new Bed(t)
    bed.pool.open()
    for (let i = 0; i < 5; i++) bed.second()
    assert.deepEqual(bed.requests, [1])
    bed.second()
    assert.deepEqual(bed.requests, [1, 1])
  })
})
