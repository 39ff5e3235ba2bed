import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readJoinLimits } from '../../../src/dataplane/join-options.ts'
import { limitReached, nextLook, reasonOf } from '../../../src/dataplane/stream/join-limits.ts'

const off = { idleMs: 0, halfClosedIdleMs: 0, maxDurationMs: 0, stalledMs: 0 }
const progress = { startedAt: 1_000, movedAt: 4_000, finAt: undefined, stalledFor: 0 }

test('each limit runs out at its time and not before', () => {
  assert.equal(limitReached(off, { ...progress, finAt: 1_000, stalledFor: 1e9 }, 1e9), undefined)
  assert.equal(limitReached({ ...off, idleMs: 500 }, progress, 4_499), undefined)
  assert.equal(limitReached({ ...off, idleMs: 500 }, progress, 4_500), 'idle')
  assert.equal(limitReached({ ...off, maxDurationMs: 5_000 }, progress, 6_000), 'limit')
  assert.equal(limitReached({ ...off, halfClosedIdleMs: 500 }, progress, 1e9), undefined)
  assert.equal(
    limitReached({ ...off, halfClosedIdleMs: 500 }, { ...progress, finAt: 2_000 }, 4_500),
    'half-closed-idle',
  )
  assert.equal(limitReached({ ...off, halfClosedIdleMs: 500 }, { ...progress, finAt: 4_400 }, 4_500), undefined)
  assert.equal(limitReached({ ...off, stalledMs: 500 }, { ...progress, stalledFor: 500 }, 1e9), 'stalled')
})

test('the next look is at the first limit that can run out', () => {
  assert.equal(nextLook(off, progress, 4_100), Number.POSITIVE_INFINITY)
  assert.equal(nextLook({ ...off, idleMs: 500, maxDurationMs: 3_200 }, progress, 4_100), 100)
  assert.equal(nextLook({ ...off, stalledMs: 400 }, progress, 4_100), 100)
})

test('defaults, and Infinity for off', () => {
  assert.deepEqual(readJoinLimits({ idleMs: Number.POSITIVE_INFINITY }), {
    idleMs: 0,
    halfClosedIdleMs: 60_000,
    maxDurationMs: 0,
    stalledMs: 300_000,
  })
})

test('reasons of failures', () => {
  assert.deepEqual(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', ''].map(reasonOf), ['reset', 'reset', 'error', 'aborted'])
})
