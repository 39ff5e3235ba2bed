import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from '../../src/dataplane/types.ts'
import { MillraceError } from '../../src/errors.ts'
import { makeBed } from './http-front-bed.ts'

const get = 'GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n'

/** A proxy connection that comes when the test says so. */
const gate = () => {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  let asked: () => void = () => undefined
  const wanted = new Promise<void>((resolve) => {
    asked = resolve
  })
  return {
    open,
    wanted,
    openProxy: async (dial: () => Promise<Endpoint>): Promise<Endpoint> => {
      asked()
      await opened
      return dial()
    },
  }
}

test('no proxy connection: 504 when none came in time, 503 when too many wait, 502 for the rest', async (t) => {
  for (const [error, status] of [
    [new MillraceError('ERR_POOL_TIMEOUT', '1000'), 504],
    [new MillraceError('ERR_POOL_FULL', '10'), 503],
    [new MillraceError('ERR_POOL_CLOSED'), 502],
    [new Error('anything'), 502],
  ] as const) {
    const bed = await makeBed(t, { openProxy: () => Promise.reject(error) })
    const visitor = bed.visit(get)
    await visitor.ends('fin')
    assert.match(visitor.received, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.ok(!visitor.received.includes('ERR_'), 'visitors are not told of our insides')
    await bed.quiet()
    assert.equal(bed.unused(), 0)
  }
})

test('a visitor that resets while it waits: its proxy connection is not used', async (t) => {
  const proxy = gate()
  const bed = await makeBed(t, { openProxy: proxy.openProxy })
  const visitor = bed.visit(get)
  await proxy.wanted
  visitor.socket.resetAndDestroy()
  await bed.quiet()
  proxy.open()
  const service = await bed.service()
  await service.ends()
  assert.equal(service.received, '')
  assert.equal(bed.unused(), 1)
})

test('a visitor that closes its sending side while it waits is served', async (t) => {
  const proxy = gate()
  const bed = await makeBed(t, { openProxy: proxy.openProxy })
  const visitor = bed.visit()
  visitor.socket.end(get)
  await proxy.wanted
  proxy.open()
  const service = await bed.service()
  await service.has('\r\n\r\n')
  service.socket.end('HTTP/1.1 204 No Content\r\n\r\n')
  await visitor.ends('fin')
  assert.match(visitor.received, /^HTTP\/1\.1 204 /)
  await bed.quiet()
})

test('visitors beyond the pending limit get 503', async (t) => {
  const proxy = gate()
  const bed = await makeBed(t, { limits: { pending: 1 }, openProxy: proxy.openProxy })
  const first = bed.visit(get)
  await proxy.wanted
  const second = bed.visit(get)
  await second.ends('fin')
  assert.match(second.received, /^HTTP\/1\.1 503 /)
  proxy.open()
  const service = await bed.service()
  await service.has('\r\n\r\n')
  const third = bed.visit('GET / HTTP/1.1\r\nHost: b.example\r\n\r\n')
  await third.ends('fin')
  assert.match(third.received, /^HTTP\/1\.1 404 /, 'a visitor in a join is not pending')
  assert.equal(bed.front.active, 1)
  service.socket.end('HTTP/1.1 204 No Content\r\n\r\n')
  await first.ends('fin')
  first.socket.end()
  await bed.quiet()
})

test('close lets go of those that wait and serves nobody new; joins go on', async (t) => {
  const bed = await makeBed(t)
  const joined = bed.visit(get)
  const service = await bed.service()
  await service.has('\r\n\r\n')
  const waiting = bed.visit('GET / HT')
  while (bed.front.active < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  bed.front.close()
  await waiting.ends()
  const late = bed.visit(get)
  await late.ends()
  assert.equal(late.received, '')
  assert.equal(bed.front.active, 1)
  service.socket.end('HTTP/1.1 204 No Content\r\n\r\n')
  await joined.ends('fin')
  assert.match(joined.received, /^HTTP\/1\.1 204 /)
  joined.socket.end()
  await bed.quiet()
})

test('a fault in our own code is a 500, and the visitor does not wait for ever', async (t) => {
  const bed = await makeBed(t, { joinOptions: { idleMs: -1 } })
  const visitor = bed.visit(get)
  await visitor.ends('fin')
  assert.match(visitor.received, /^HTTP\/1\.1 500 /)
  await (await bed.service()).ends()
  await bed.quiet()
  assert.equal(bed.unused(), 1)
})
