import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { skip } from '../dataplane/native/plane.ts'
import { runProgram } from './program.ts'

for (const workers of ['1', '3']) {
  test(`50 worker threads loading, joining and terminated in mid-traffic, ${workers} workers`, { skip }, async (t) => {
    const { code, signal, stdout, stderr } = await runProgram('threads.mjs', [], { MILLRACE_WORKERS: workers })
    assert.deepEqual([code, signal, stderr], [0, null, ''])
    t.diagnostic(stdout.trim())
  })
}
