import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import type { Endpoint, JoinResult } from '../../../src/dataplane/types.ts'
import { MillraceError } from '../../../src/errors.ts'
import { acceptPair, readAll } from '../pair.ts'
import { nativePlane, skip } from './plane.ts'
import { securedPair } from './sockets.ts'

// Joins of an endpoint of the engine's with a TLS one on streams, as where the engine can't speak TLS: the first moves
// there while both are the join's already.
process.env['MILLRACE_TLS'] = 'stream'

const code = (wanted: string) => (error: unknown) => error instanceof MillraceError && error.code === wanted

/** What an endpoint receives until its peer ends. */
async function drain(endpoint: Endpoint): Promise<string> {
  let text = ''
  for (;;) {
    const bytes = await endpoint.read(30_000)
    if (bytes.length === 0) return text
    text += bytes.toString()
  }
}

/** An endpoint of the engine's that can't be moved yet: more was written to it than its peer's kernel takes. */
async function stuck(plane: ReturnType<typeof nativePlane>) {
  const pair = await acceptPair(plane)
  for (;;) {
    pair.endpoint.write(Buffer.alloc(256 * 1024))
    const flushed = pair.endpoint.flushed().then(() => true)
    const timeout = new Promise<false>((resolve) => setTimeout(resolve, 200, false))
    if (!(await Promise.race([flushed, timeout]))) {
      flushed.catch(() => {})
      return pair
    }
  }
}

test('mixed join: what a driving caller writes at once is counted', { skip }, async () => {
  const plane = nativePlane()
  const { endpoint, peer } = await acceptPair(plane)
  const { near, far } = await securedPair(plane)
  const join = plane.join(endpoint, near, { aToB: { drive: 'caller' } })
  near.write(Buffer.from('head,'))
  peer.end('body')
  near.write(await endpoint.read(30_000))
  await near.flushed()
  join.finish('aToB', 'fin')
  assert.equal(await drain(far), 'head,body')
  far.write(Buffer.from('answer'))
  far.destroy()
  assert.equal(String(await readAll(peer)), 'answer')
  const { aToB, bToA, reason } = await join.done
  assert.deepEqual({ aToB, bToA, reason }, { aToB: 9n, bToA: 6n, reason: 'eof' })
})

test('mixed join: a driving caller may read from either side at once, and give back', { skip }, async () => {
  const plane = nativePlane()
  const { endpoint, peer } = await acceptPair(plane)
  const { near, far } = await securedPair(plane)
  peer.end('from the plain side')
  const first = await endpoint.read(30_000, 5)
  const join = plane.join(endpoint, near, { aToB: { drive: 'caller' }, bToA: { drive: 'caller' } })
  endpoint.unread(first)
  const reads = [endpoint.readHead((bytes) => (bytes.length < 19 ? 0 : 19), 100, 30_000), near.read(30_000)]
  far.write(Buffer.from('from TLS'))
  assert.deepEqual((await Promise.all(reads)).map(String), ['from the plain side', 'from TLS'])
  join.destroy()
  assert.equal((await join.done).reason, 'aborted')
  far.destroy('reset')
})

test('mixed join: both sides belong to the join from the call on', { skip }, async () => {
  const plane = nativePlane()
  const { endpoint, peer } = await acceptPair(plane)
  const { near, far } = await securedPair(plane)
  const other = await acceptPair(plane)
  let told = ''
  near.onClosed((how) => {
    told = how
  })
  const join = plane.join(endpoint, near)
  assert.throws(() => plane.join(endpoint, other.endpoint), code('ERR_ENDPOINT_JOINED'))
  assert.throws(() => plane.join(other.endpoint, near), code('ERR_ENDPOINT_JOINED'))
  const refused = [near.read(30_000), near.peek(1, 30_000), near.flushed(), endpoint.read(30_000)]
  near.write(Buffer.from('of no effect'))
  near.destroy('reset')
  endpoint.destroy('reset')
  for (const refusal of refused) await assert.rejects(refusal, code('ERR_ENDPOINT_JOINED'))
  peer.end('all of it')
  assert.equal(await drain(far), 'all of it')
  far.destroy()
  await readAll(peer)
  const { reason, aToB } = await join.done
  assert.deepEqual({ reason, aToB, told }, { reason: 'eof', aToB: 9n, told: '' })
  other.endpoint.destroy()
  other.peer.destroy()
})

const endings: readonly (readonly [
  string,
  JoinResult['reason'],
  (join: { destroy(): void }, abort: AbortController) => void,
])[] = [
  ['destroy()', 'aborted', (join) => join.destroy()],
  ['the signal', 'aborted', (_, abort) => abort.abort()],
  ['the stalled limit', 'stalled', () => {}],
  ['the peer', 'reset', () => {}],
]
for (const [name, reason, act] of endings) {
  test(`mixed join: ended by ${name} while the plain side can't be moved`, { skip }, async () => {
    const plane = nativePlane()
    const { endpoint, peer } = await stuck(plane)
    const { near, far } = await securedPair(plane)
    const abort = new AbortController()
    const stalledMs = reason === 'stalled' ? 100 : 0
    let ends = 0
    const join = plane.join(near, endpoint, { signal: abort.signal, stalledMs, onEnd: () => (ends += 1) })
    act(join, abort)
    if (reason === 'reset') peer.resetAndDestroy()
    const result = await join.done
    assert.deepEqual([result.reason, result.aToB, result.bToA, ends], [reason, 0n, 0n, 1])
    await assert.rejects(far.read(30_000), code('ERR_ENDPOINT_RESET'))
    peer.destroy()
    far.destroy('reset')
  })
}

test('secure: a peer that takes nothing ends in the handshake limit', { skip }, async () => {
  const plane = nativePlane()
  const { endpoint, peer } = await stuck(plane)
  const trust = { kind: 'none' } as const
  const secured = plane.secure(endpoint, { role: 'client', serverName: 'x.test', trust, handshakeTimeoutMs: 100 })
  await assert.rejects(secured, code('ERR_TLS_TIMEOUT'))
  peer.destroy()
})

test('mixed join: nothing is left of any of it', { skip }, async () => {
  const plane = nativePlane()
  const end = performance.now() + 30_000
  for (;;) {
    const { endpoints, joins } = plane.stats()
    if (endpoints === 0 && joins === 0) return
    assert.ok(performance.now() < end, `left: ${endpoints} endpoints, ${joins} joins`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
})
