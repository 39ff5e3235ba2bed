import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { TLSSocket } from 'node:tls'
import { checkAdoptable, markTaken } from '../../src/dataplane/adopt-check.ts'
import { socketPair } from './pair.ts'

test('only a connected, quiet net.Socket can be adopted, and every refusal has its code', async () => {
  const [near, far] = await socketPair()
  checkAdoptable(near)
  assert.throws(() => checkAdoptable(new PassThrough()), { code: 'ERR_SOCKET_TYPE', message: /PassThrough/ })
  assert.throws(() => checkAdoptable(undefined), { code: 'ERR_SOCKET_TYPE', message: /undefined/ })
  assert.throws(() => checkAdoptable(null), { code: 'ERR_SOCKET_TYPE', message: /null/ })
  assert.throws(() => checkAdoptable(new TLSSocket(new Socket())), { code: 'ERR_SOCKET_TLS' })
  assert.throws(() => checkAdoptable(new Socket()), { code: 'ERR_SOCKET_DESTROYED' })
  const connecting = connect(1, '127.0.0.1')
  assert.throws(() => checkAdoptable(connecting), { code: 'ERR_SOCKET_CONNECTING' })
  await once(connecting, 'error')
  near.write(Buffer.alloc(32_000_000))
  assert.throws(() => checkAdoptable(near), { code: 'ERR_SOCKET_PENDING_WRITES', message: /32000000/ })
  far.setEncoding('utf8')
  assert.throws(() => checkAdoptable(far), { code: 'ERR_SOCKET_TYPE', message: /setEncoding/ })
  near.destroy()
  far.end()
  assert.throws(() => checkAdoptable(near), { code: 'ERR_SOCKET_DESTROYED' })
  assert.throws(() => checkAdoptable(far), { code: 'ERR_SOCKET_ENDED' })
  far.destroy()
})

test('a socket is taken once', async () => {
  const [near, far] = await socketPair()
  markTaken(near)
  assert.throws(() => checkAdoptable(near), { code: 'ERR_SOCKET_DESTROYED' })
  near.destroy()
  far.destroy()
})
