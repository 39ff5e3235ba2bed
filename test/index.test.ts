import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import * as millrace from '../src/index.ts'
import { readAll, socketPair } from './dataplane/pair.ts'

test('the public surface is frozen: a change here is a change for every user', () => {
  assert.deepEqual(Object.keys(millrace).sort(), [
    'MillraceError',
    'createDataPlane',
    'defaultDataPlane',
    'errorCodes',
    'join',
  ])
})

test('join: two sockets in, a live handle out', async () => {
  const [a, nearA] = await socketPair()
  const [b, nearB] = await socketPair()
  const ends: millrace.JoinResult[] = []
  const join = millrace.join(nearA, nearB, { onEnd: (result) => ends.push(result) })
  const [upload, download] = [randomBytes(700_000), randomBytes(300_000)]
  a.end(upload)
  b.end(download)
  const [atA, atB] = await Promise.all([readAll(a), readAll(b)])
  assert.ok(atB.equals(upload) && atA.equals(download))
  const result = await join.done
  assert.deepEqual([result.reason, result.aToB, result.bToA, result.errno], ['eof', 700_000n, 300_000n, ''])
  assert.deepEqual([join.bytes.aToB, join.bytes.bToA], [700_000n, 300_000n])
  assert.deepEqual(ends, [result])
})

test('join: heads come before what the sockets have buffered', async () => {
  const [a, nearA] = await socketPair()
  const [b, nearB] = await socketPair()
  a.end(' buffered')
  nearA.read(0)
  await once(nearA, 'readable')
  millrace.join(nearA, nearB, { headA: Buffer.from('head A'), headB: Buffer.from('head B') })
  b.end()
  const [atA, atB] = await Promise.all([readAll(a), readAll(b)])
  assert.deepEqual([String(atA), String(atB)], ['head B', 'head A buffered'])
})

test('join: a wrong argument is thrown before either socket is taken', async () => {
  const [a, nearA] = await socketPair()
  const [b, nearB] = await socketPair()
  const gone = (await socketPair())[0].destroy()
  assert.throws(() => millrace.join(nearA, gone), { code: 'ERR_SOCKET_DESTROYED' })
  assert.throws(() => millrace.join(gone, nearA), { code: 'ERR_SOCKET_DESTROYED' })
  assert.throws(() => millrace.join(nearA, nearA), { code: 'ERR_SOCKET_SAME' })
  assert.throws(() => millrace.join(nearA, nearB, { idleMs: -1 }), { code: 'ERR_OPTION' })
  assert.throws(() => millrace.join(nearA, nearB, { aToB: { maxBytes: 0.5 } }), { code: 'ERR_OPTION' })
  const join = millrace.join(nearA, nearB)
  assert.throws(() => millrace.join(nearA, nearB), { code: 'ERR_SOCKET_DESTROYED' })
  a.end('still works')
  assert.equal(String(await readAll(b)), 'still works')
  join.destroy()
  assert.equal((await join.done).reason, 'aborted')
})

test("join: listeners that the sockets had don't interfere, and hear 'close' at once", async () => {
  const [a, nearA] = await socketPair()
  const [b, nearB] = await socketPair()
  const heard: string[] = []
  for (const event of ['data', 'readable', 'end', 'error', 'timeout', 'close']) {
    nearA.on(event, () => {
      heard.push(event)
      nearB.destroy()
    })
  }
  nearA.setTimeout(20)
  const join = millrace.join(nearA, nearB)
  a.end(randomBytes(2_000_000))
  assert.equal((await readAll(b)).length, 2_000_000)
  b.end()
  assert.equal((await join.done).reason, 'eof')
  assert.deepEqual(heard, ['close'])
})

test('join: an upgraded HTTP connection, with the head that came along', async () => {
  const [service, nearService] = await socketPair()
  const server = createServer()
  server.on('upgrade', (_request, socket: Socket, head) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n', () => {
      millrace.join(socket, nearService, { headA: head })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an IP address')
  const client = connect({ host: '127.0.0.1', port: address.port, allowHalfOpen: true })
  client.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\nhello service')
  assert.equal(String(await readAll(service)), 'hello service')
  service.end('hello client')
  assert.match(String(await readAll(client)), /^HTTP\/1\.1 101 [\s\S]*\r\n\r\nhello client$/)
  server.close()
})

test('errors are recognised across copies of the package', () => {
  const foreign = Object.assign(new Error('x'), { [Symbol.for('millrace.error')]: true, code: 'ERR_TLS' })
  assert.ok(foreign instanceof millrace.MillraceError)
  assert.ok(!(new Error('x') instanceof millrace.MillraceError))
})
