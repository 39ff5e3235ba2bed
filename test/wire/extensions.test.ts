import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Extension, extensions, negotiate } from '../../src/wire/messages.ts'

const ours: readonly Extension[] = ['ticket', 'close', 'ping2']

describe('negotiate', () => {
  it('accepts what both ends have, in our order', () => {
    assert.deepEqual(negotiate(['ping2', 'ticket'], ours), ['ticket', 'ping2'])
    assert.deepEqual(negotiate([...extensions], extensions), [...extensions])
  })

  it('ignores unknown and repeated names', () => {
    assert.deepEqual(negotiate(['later', 'ticket', 'ticket', 'TICKET', ''], ours), ['ticket'])
  })

  it('gives nothing to a 1.x peer', () => {
    assert.deepEqual(negotiate(undefined, ours), [])
    assert.deepEqual(negotiate([], ours), [])
  })
})
