import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RateWaiter, StreamRateLimit } from '../../../src/dataplane/stream/rate-limit.ts'

/** Takes as much as it can get, for as long as it is told to. */
class Greedy implements RateWaiter {
  taken = 0
  readonly #rate: StreamRateLimit

  constructor(rate: StreamRateLimit) {
    this.#rate = rate
    this.onAllowance()
  }

  onAllowance(): void {
    for (let granted = 1; granted > 0; ) {
      granted = this.#rate.take(65_536)
      this.taken += granted
    }
    this.#rate.wait(this)
  }
}

test('a burst passes at once, and then the rate holds and is shared fairly', async () => {
  const start = performance.now()
  const rate = new StreamRateLimit(1_000_000, 10_000)
  const waiters = [new Greedy(rate), new Greedy(rate), new Greedy(rate), new Greedy(rate)]
  assert.ok((waiters[0]?.taken ?? 0) >= 10_000)
  await new Promise((resolve) => setTimeout(resolve, 500))
  for (const waiter of waiters) rate.forget(waiter)
  const elapsed = performance.now() - start
  const taken = waiters.map((waiter) => waiter.taken)
  const total = taken.reduce((sum, bytes) => sum + bytes, 0)
  assert.ok(total <= 10_000 + elapsed * 1_000 + 1, `${total} bytes in ${elapsed} ms`)
  assert.ok(total > 10_000, 'it does move')
  const [most, least] = [Math.max(...taken.slice(1)), Math.min(...taken.slice(1))]
  assert.ok(most - least <= most * 0.1 + 100, `shares: ${taken.join(', ')}`)
})

test('rates below 1 are refused', () => {
  for (const [rate, burst] of [
    [0, 1],
    [Number.NaN, 1],
    [10, 0.5],
    [Number.POSITIVE_INFINITY, 1],
  ] as const) {
    assert.throws(() => new StreamRateLimit(rate, burst), { code: 'ERR_OPTION' })
  }
  assert.equal(new StreamRateLimit(500).burst, 500)
})
