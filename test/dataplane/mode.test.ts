import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDataPlane, defaultDataPlane } from '../../src/dataplane/create.ts'
import { readMode } from '../../src/dataplane/mode.ts'

test('MILLRACE_DATAPLANE is one of four words, native by default', () => {
  assert.equal(readMode({}), 'native')
  assert.equal(readMode({ MILLRACE_DATAPLANE: '' }), 'native')
  for (const mode of ['native', 'copy', 'splice', 'stream']) {
    assert.equal(readMode({ MILLRACE_DATAPLANE: mode }), mode)
  }
  for (const word of ['Native', 'streams', '1']) {
    assert.throws(() => readMode({ MILLRACE_DATAPLANE: word }), {
      code: 'ERR_DATAPLANE_MODE',
      message: new RegExp(`"${word}"`),
    })
  }
})

test('the stream data plane can always be had, and the default one is made once', () => {
  const plane = createDataPlane('stream')
  assert.deepEqual([plane.kind, plane.mode, plane.stats().threads], ['stream', 'stream', 0])
  assert.equal(defaultDataPlane(), defaultDataPlane())
})
