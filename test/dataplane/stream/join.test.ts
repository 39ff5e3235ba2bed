import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { StreamDataPlane } from '../../../src/dataplane/stream/data-plane.ts'
import type { JoinOptions } from '../../../src/dataplane/types.ts'
import { acceptPair, failure, readAll } from '../pair.ts'

const plane = new StreamDataPlane()

async function joined(options: JoinOptions = {}) {
  const a = await acceptPair(plane)
  const b = await acceptPair(plane)
  return { a: a.peer, b: b.peer, join: plane.join(a.endpoint, b.endpoint, options) }
}

test('bytes go both ways and half-close is forwarded', async () => {
  const { a, b, join } = await joined()
  const upload = randomBytes(3_000_000)
  const download = randomBytes(2_000_000)
  a.end(upload)
  const got = await readAll(b)
  assert.ok(got.equals(upload))
  assert.equal(join.bytes.aToB, 3_000_000n)
  b.end(download)
  assert.ok((await readAll(a)).equals(download))
  const result = await join.done
  assert.equal(result.reason, 'eof')
  assert.deepEqual([result.aToB, result.bToA], [3_000_000n, 2_000_000n])
  assert.deepEqual(result.path, { aToB: 'stream', bToA: 'stream' })
})

test('a reset is forwarded, behind what came before it', async () => {
  const { a, b, join } = await joined()
  const gone = failure(b)
  const chunks: Buffer[] = []
  b.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    if (Buffer.concat(chunks).length === 5) a.resetAndDestroy()
  })
  a.write('hello')
  assert.equal(await gone, 'ECONNRESET')
  const result = await join.done
  assert.deepEqual([result.reason, result.errno, result.aToB], ['reset', 'ECONNRESET', 5n])
})

test('destroy() resets both sides', async () => {
  const { a, b, join } = await joined()
  const gone = [failure(a), failure(b)]
  join.destroy()
  assert.deepEqual(await Promise.all(gone), ['ECONNRESET', 'ECONNRESET'])
  assert.equal((await join.done).reason, 'aborted')
})
