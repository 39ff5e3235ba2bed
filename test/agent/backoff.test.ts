import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Backoff } from '../../src/agent/backoff.ts'

const times = { minMs: 1_000, maxMs: 30_000 }

describe('the backoff', () => {
  it('retries at once, then doubles up to its limit', () => {
    const low = new Backoff(times, () => 0)
    const high = new Backoff(times, () => 1)
    const take = (backoff: Backoff) => Array.from({ length: 8 }, () => backoff.next())
    assert.deepEqual(take(low), [0, 1_000, 2_000, 4_000, 7_500, 7_500, 7_500, 7_500])
    assert.deepEqual(take(high), [0, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000])
  })

  it('spreads the agents of one relay: no second in which more than two fifths of them come', () => {
    const count = 10_000
    // A generator of its own: the same agents in each run.
    let seed = 1
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed / 2_147_483_647
    }
    const inSecond = new Map<number, number>()
    for (let i = 0; i < count; i++) {
      const backoff = new Backoff(times, random)
      let at = backoff.next()
      // The relay stays away for four attempts.
      for (let attempt = 1; attempt <= 4; attempt++) {
        at += backoff.next()
        const second = Math.floor(at / 1000)
        inSecond.set(second, (inSecond.get(second) ?? 0) + 1)
      }
    }
    const most = Math.max(...inSecond.values())
    assert.ok(most <= 0.4 * count, `${most} attempts in one second`)
  })

  it('stays within its limits after a thousand failures', () => {
    const backoff = new Backoff(times)
    for (let i = 0; i < 1_100; i++) assert.ok(backoff.next() <= 30_000)
  })

  it('starts over after a stable session', () => {
    const backoff = new Backoff(times)
    for (let i = 0; i < 5; i++) backoff.next()
    backoff.reset()
    assert.equal(backoff.next(), 0)
  })
})
