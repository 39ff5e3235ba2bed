import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Backoff } from '../../src/agent/backoff.ts'

const times = { minMs: 1_000, maxMs: 30_000 }

describe('the backoff', () => {
  it('retries at once, then doubles up to its limit', () => {
    const low = new Backoff(times, () => 0)
    const high = new Backoff(times, () => 1)
    const take = (backoff: Backoff) => Array.from({ length: 8 }, () => backoff.next())
    assert.deepEqual(take(low), [0, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000])
    assert.deepEqual(take(high), [0, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  })

  it('spreads the agents of one relay', () => {
    const waits = new Set(
      Array.from({ length: 100 }, () => {
        const backoff = new Backoff(times)
        backoff.next()
        return backoff.next()
      }),
    )
    assert.ok(waits.size > 50, `${waits.size} different waits of 100`)
    for (const wait of waits) assert.ok(wait >= 1_000 && wait <= 2_000)
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
