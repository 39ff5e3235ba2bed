import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { constantTimeEqual, newClientId, newReqId } from '../../src/wire/ids.ts'

describe('ids', () => {
  it('have the lengths of 1.7 and are random', () => {
    assert.match(newClientId(), /^[0-9a-f]{32}$/)
    assert.match(newReqId(), /^[0-9a-f]{16}$/)
    assert.notEqual(newClientId(), newClientId())
    assert.notEqual(newReqId(), newReqId())
  })
})

describe('constantTimeEqual', () => {
  it('compares secrets of any length', () => {
    assert.equal(constantTimeEqual('', ''), true)
    assert.equal(constantTimeEqual('abc', 'abc'), true)
    assert.equal(constantTimeEqual('é', 'é'), true)
    assert.equal(constantTimeEqual('abc', 'abd'), false)
    assert.equal(constantTimeEqual('abc', 'abcd'), false)
    assert.equal(constantTimeEqual('abc', ''), false)
  })
})
