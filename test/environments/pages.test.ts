import { strict as assert } from 'node:assert'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { skip } from '../dataplane/native/plane.ts'
import { runProgram } from './program.ts'

/** What pages.mjs says. */
interface Seen {
  readonly uid: number
  /** Bytes spliced by each join while the pages were taken. */
  readonly spliced: readonly number[]
  readonly fallbacks: Readonly<Record<string, number>>
  readonly pipes: number
  /** The same of a join afterwards. */
  readonly splicedAgain: number
}

test('pitfall 3: past the user’s pipe pages joins copy, which is counted', { skip }, async (t) => {
  const seen = await run(t, 'past')
  if (seen === undefined) return
  assert.notEqual(seen.uid, 0)
  assert.deepEqual(seen.spliced, [0, 0, 0, 0])
  assert.deepEqual(Object.keys(seen.fallbacks), ['small-pipe'])
  assert.equal(seen.pipes, 0)
  assert.ok(seen.splicedAgain > 0, 'they splice again once there are pages')
})

test('pitfall 3: a pipe that can’t be enlarged is used as it is', { skip }, async (t) => {
  const seen = await run(t, 'near')
  if (seen === undefined) return
  // Four pipes of 64 KiB are left for eight directions.
  assert.ok(
    seen.spliced.some((bytes) => bytes > 0),
    JSON.stringify(seen),
  )
})

async function run(t: TestContext, how: 'near' | 'past'): Promise<Seen | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pages-'))
  t.after(() => rmSync(folder, { recursive: true }))
  // mkdtemp lets nobody else in.
  chmodSync(folder, 0o755)
  const { code, signal, stdout, stderr } = await runProgram('pages.mjs', [how, folder])
  assert.deepEqual([code, signal, stderr], [0, null, ''])
  if (!stdout.startsWith('skip: ')) return JSON.parse(stdout) as Seen
  // As root in CI there is nothing that could be missing.
  assert.ok(process.env['CI'] !== 'true' || process.getuid?.() !== 0, stdout)
  t.skip(stdout.slice('skip: '.length).trim())
  return undefined
}
