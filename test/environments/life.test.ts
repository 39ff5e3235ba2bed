import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { skip } from '../dataplane/native/plane.ts'
import { inLanes, runProgram } from './program.ts'

const stages = [
  'before load',
  'after load',
  'listening',
  'dialing',
  'endpoints open',
  'joined',
  'in mid-traffic',
  'during the end',
  'after the end',
]

/** How a child is ended, and how that must look from outside. */
const endings = [
  { ending: 'natural', code: 0, stderr: /^$/ },
  { ending: 'exit', code: 7, stderr: /^$/ },
  { ending: 'throw', code: 1, stderr: /Error: of the test\n/ },
  { ending: 'term', code: null, stderr: /^$/ },
  { ending: 'handled', code: 7, stderr: /^$/ },
] as const

for (const { ending, code, stderr } of endings) {
  test(`forked children that end by ${ending} in each stage of life`, { skip }, async () => {
    const jobs = stages.map((stage, index) => async () => {
      const workers = index % 2 === 0 ? '1' : '3'
      const signal = code === null || ending === 'handled' ? 'SIGTERM' : undefined
      const seen = await runProgram('life.mjs', [stage, ending], { MILLRACE_WORKERS: workers }, signal)
      const clean = seen.code === code && seen.signal === (code === null ? 'SIGTERM' : null) && stderr.test(seen.stderr)
      return clean ? [] : [`${stage}, ${workers} workers: ${JSON.stringify(seen)}`]
    })
    assert.deepEqual((await inLanes(jobs, 4)).flat(), [])
  })
}
