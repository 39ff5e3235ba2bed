import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Outcome, runChild } from './child.ts'
import { nativePlane, skip } from './plane.ts'
import { runThread, startThread } from './thread.ts'
import { traffic } from './traffic.ts'

/** Children that run at once. */
const atOnce = 4

/** Runs children, a few at a time; each must end with this code, by no signal, and say nothing else on stderr. */
async function endWell(runs: readonly (() => Promise<Outcome>)[], code: number): Promise<void> {
  const waiting = [...runs.entries()]
  const failures: string[] = []
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const outcome = await next[1]()
      if (outcome.code !== code || outcome.signal !== null) {
        failures.push(`run ${next[0]}: code ${outcome.code}, signal ${outcome.signal}\n${outcome.stderr}`)
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  assert.deepEqual(failures, [])
}

const listing = skip === false ? await runChild('stages.ts') : undefined
const names: unknown = listing === undefined ? [] : JSON.parse(listing.stdout)
const stages = Array.isArray(names) ? names.map(String) : []

test('pitfalls 19 and 20: process.exit() is clean in every stage of life', { skip }, async () => {
  assert.ok(stages.length >= 20, `${stages.length} stages`)
  const runs = stages.flatMap((stage, index) => {
    // Both counts of workers where most threads are at work.
    const counts = /traffic|thread|exception/.test(stage) ? ['1', '3'] : [index % 2 === 0 ? '1' : '3']
    return counts.map((workers) => async () => {
      const outcome = await runChild('stages.ts', [stage], { MILLRACE_WORKERS: workers })
      return { ...outcome, stderr: `${stage}, ${workers} workers: ${outcome.stderr}` }
    })
  })
  await endWell(runs, 7)
})

test('pitfall 19: worker threads that end in mid-traffic leave the others at work', { skip }, async () => {
  const plane = nativePlane()
  const main = await traffic(plane)
  const threads = [1, 2, 3].map(() => startThread('traffic'))
  await Promise.all(threads.map((thread) => once(thread, 'message')))
  const before = main.join.bytes
  const codes = await Promise.all(threads.map((thread) => thread.terminate()))
  assert.deepEqual(codes, [1, 1, 1])
  // Theirs is gone, ours goes on.
  while (main.join.bytes.aToB < before.aToB + (8n << 20n)) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.deepEqual([plane.stats().joins, plane.stats().endpoints], [1, 2])
  assert.deepEqual(await runThread(), { whole: true, reason: 'eof', bytes: 2 << 20 })
  main.join.destroy()
  assert.equal((await main.join.done).reason, 'aborted')
})

test('pitfall 20: the engine ends with the last environment, and comes again with the next', { skip }, async () => {
  await endWell(
    ['1', '3'].map((workers) => () => runChild('threads-only.ts', [], { MILLRACE_WORKERS: workers })),
    0,
  )
})

test('a process lives as long as its joins, and no longer', { skip }, async () => {
  const outcome = await runChild('natural-end.ts')
  assert.deepEqual([outcome.code, outcome.signal], [0, null], outcome.stderr)
  assert.match(outcome.stdout, /^done eof, exit after \d+ ms\n$/)
  const ms = Number(/(\d+) ms/.exec(outcome.stdout)?.[1])
  assert.ok(ms < 1_500, `it went on for ${ms} ms with nothing left to do`)
})

test('a callback that throws is an uncaught exception, and costs nobody an event', { skip }, async () => {
  const { code, signal, stdout, stderr } = await runChild('throwing.ts')
  assert.deepEqual([code, signal], [0, null], stderr)
  assert.equal(
    stdout,
    'accepted 10\nuncaught onEndpoints 10\nuncaught onClosed 1\nuncaught onEnd 1\nread 9\nended 10\n',
  )
})
