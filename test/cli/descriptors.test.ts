import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkDescriptors, descriptorsNeeded } from '../../src/cli/descriptors.ts'
import { defaultLimits } from '../../src/limits/relay.ts'
import { RecordingLogger } from '../agent/events.ts'

describe('the descriptors that a relay needs', () => {
  const chosen = { ...defaultLimits, joins: 5_000 }

  it('must be there for limits that were chosen', () => {
    const log = new RecordingLogger()
    checkDescriptors(chosen, log, descriptorsNeeded(chosen))
    assert.throws(() => checkDescriptors(chosen, log, descriptorsNeeded(chosen) - 200), {
      code: 'ERR_DESCRIPTORS',
      message: /limits\.joins = 5000 .* room for 4900 visitors \(ulimit -n, LimitNOFILE=\)$/,
    })
    assert.deepEqual(log.lines, [])
  })

  it('need not be there for the default limits: what there is room for is logged', () => {
    const log = new RecordingLogger()
    checkDescriptors(defaultLimits, log, 20_000)
    assert.equal(log.of('relay.descriptors').length, 1)
    checkDescriptors(defaultLimits, log, Number.POSITIVE_INFINITY)
    assert.equal(log.lines.length, 1)
  })
})
