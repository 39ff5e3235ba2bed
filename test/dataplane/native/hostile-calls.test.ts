import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChild } from './child.ts'
import { skip } from './plane.ts'

const seeds = process.env['MILLRACE_SEED'] === undefined ? [1, 2, 3] : [Number(process.env['MILLRACE_SEED'])]

for (const seed of seeds) {
  test(`addon: arguments that make no sense are refused, none crashes (seed ${seed})`, { skip }, async () => {
    const { code, signal, stdout, stderr } = await runChild('hostile-calls.ts', [String(seed)])
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `MILLRACE_SEED=${seed}\n${stdout}${stderr}`)
    assert.match(stdout, /^after \d+ calls: /m)
  })
}
