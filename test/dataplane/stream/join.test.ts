import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
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

test('a reset behind a FIN is noticed though nothing moves and nobody reads', async () => {
  const { a, b, join } = await joined()
  a.end('all of it')
  assert.equal(String(await readAll(b)), 'all of it')
  a.resetAndDestroy()
  const result = await join.done
  assert.deepEqual([result.reason, result.errno, result.aToB], ['reset', 'ECONNRESET', 9n])
  b.destroy()
})

test('destroy() while a reset is being passed on is an abort', async () => {
  const { a, b, join } = await joined()
  a.write('x')
  await once(b.resume(), 'data')
  a.resetAndDestroy()
  await new Promise((resolve) => setTimeout(resolve, 20))
  join.destroy()
  const result = await join.done
  assert.ok(result.reason === 'aborted' ? result.errno === '' : result.reason === 'reset')
  assert.equal(result.aToB, 1n)
})

test('a caller who drives a direction gets its sides of the endpoints, and no others', async () => {
  const a = await acceptPair(plane)
  const b = await acceptPair(plane)
  const join = plane.join(a.endpoint, b.endpoint, { aToB: { drive: 'caller' } })
  await assert.rejects(b.endpoint.read(1_000), { code: 'ERR_ENDPOINT_JOINED' })
  await assert.rejects(a.endpoint.flushed(), { code: 'ERR_ENDPOINT_JOINED' })
  a.endpoint.write(Buffer.from('not mine to write'))
  a.peer.write('request')
  b.endpoint.write(await a.endpoint.read(10_000))
  await b.endpoint.flushed()
  join.finish('aToB', 'fin')
  assert.throws(() => join.finish('bToA', 'fin'), { code: 'ERR_OPTION' })
  assert.equal(String(await readAll(b.peer)), 'request')
  b.peer.end('answer')
  assert.equal(String(await readAll(a.peer)), 'answer')
  assert.deepEqual((await join.done).reason, 'eof')
})

test('a driving caller that ignores a peer who does not read ends the join', async () => {
  const a = await acceptPair(plane)
  const b = await acceptPair(plane)
  const join = plane.join(a.endpoint, b.endpoint, { aToB: { drive: 'caller' } })
  for (let turn = 0; turn < 200; turn += 1) b.endpoint.write(Buffer.alloc(100_000))
  const result = await join.done
  assert.deepEqual([result.reason, result.errno], ['error', 'ENOBUFS'])
  await assert.rejects(b.endpoint.flushed(), { code: 'ERR_ENDPOINT_WRITE_OVERFLOW' })
  for (const { peer } of [a, b]) peer.destroy()
})
