import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ChunkPace } from '../../src/relay/chunk-pace.ts'

describe('ChunkPace', () => {
  it('lets a burst pass, then the rate', () => {
    const pace = new ChunkPace({ bytesPerSecond: 1000, burst: 500 })
    assert.equal(pace.passed(500, 0) <= 0, true)
    assert.equal(pace.passed(1000, 0), 1000)
    assert.equal(pace.passed(1000, 1000), 2000)
    // A long pause earns no more than the burst.
    assert.equal(pace.passed(1500, 100_000), 101_000)
  })

  it('is one for all bodies of a limit, and another for each other limit', () => {
    const [a, b] = [
      { bytesPerSecond: 1, burst: 1 },
      { bytesPerSecond: 1, burst: 1 },
    ]
    assert.equal(ChunkPace.of(a), ChunkPace.of(a))
    assert.notEqual(ChunkPace.of(a), ChunkPace.of(b))
  })
})
