import { strict as assert } from 'node:assert'
import { lookup } from 'node:dns/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { MillraceError } from '../../src/errors.ts'
import { blackHole } from './harness/black-hole.ts'
import { type Bench, contract, joins, tcp, unix } from './harness/contract.ts'
import { causeCode, collect, rejects } from './harness/raw.ts'
import { freshPath, hasIpv6, NodeServer } from './harness/sockets.ts'
import { within } from './harness/wait.ts'

const onTcp = { who: joins, on: [tcp] }
const where = { who: joins, on: [tcp, unix] }

function planeOf(bench: Bench): NonNullable<Bench['contestant']['plane']> {
  const { plane } = bench.contestant
  assert.ok(plane)
  return plane
}

contract('dial: a server that speaks first', where, async (bench) => {
  const plane = planeOf(bench)
  const server = await NodeServer.listen(bench.pairing.b.transport)
  const [endpoint, socket] = await Promise.all([plane.dial(server.target), server.next()])
  server.close()
  socket.write('220 ready\r\n')
  assert.equal((await endpoint.readHead((bytes) => bytes.indexOf('\n') + 1, 100, 30_000)).toString(), '220 ready\r\n')
  const received = collect(socket)
  endpoint.write(Buffer.from('QUIT\r\n'))
  endpoint.destroy()
  assert.equal(await received.ended, 'fin')
  assert.equal(received.bytes().toString(), 'QUIT\r\n')
  socket.destroy()
})

contract('dial: nobody listens', where, async (bench) => {
  const plane = planeOf(bench)
  if (bench.pairing === unix) {
    const error = await rejects(plane.dial({ path: freshPath() }), 'ERR_DIAL')
    assert.equal(causeCode(error), 'ENOENT')
    return
  }
  const server = await NodeServer.listen('tcp')
  const { target } = server
  server.close()
  const error = await rejects(plane.dial(target), 'ERR_DIAL')
  assert.equal(causeCode(error), 'ECONNREFUSED')
  assert.ok('port' in target && error.message.includes(`127.0.0.1:${target.port}`), error.message)
})

contract('dial: a path with a NUL in it', { who: joins, on: [unix] }, async (bench) => {
  for (const path of [`${freshPath()}\0`, '\0abstract']) {
    const error = await rejects(planeOf(bench).dial({ path }), 'ERR_DIAL')
    assert.equal(causeCode(error), 'EINVAL')
  }
})

contract('dial: the time-out', onTcp, async (bench) => {
  const plane = planeOf(bench)
  const hole = await blackHole()
  try {
    const began = performance.now()
    await rejects(plane.dial({ host: '127.0.0.1', port: hole.port }, { timeoutMs: 300 }), 'ERR_DIAL_TIMEOUT')
    const took = performance.now() - began
    assert.ok(took >= 200 && took < 8_000, `${took} ms`)
  } finally {
    await hole.close()
  }
})

contract('dial: a signal ends it', onTcp, async (bench) => {
  const plane = planeOf(bench)
  const hole = await blackHole()
  try {
    const controller = new AbortController()
    const dial = plane.dial({ host: '127.0.0.1', port: hole.port }, { signal: controller.signal })
    const failed = rejects(dial, 'ERR_DIAL')
    setTimeout(() => {
      controller.abort()
    }, 30)
    await failed
    await rejects(plane.dial({ host: '127.0.0.1', port: hole.port }, { signal: AbortSignal.abort() }), 'ERR_DIAL')
  } finally {
    await hole.close()
  }
})

contract('dial: a signal that comes too late does nothing', onTcp, async (bench) => {
  const plane = planeOf(bench)
  const server = await NodeServer.listen('tcp')
  const controller = new AbortController()
  const endpoint = await plane.dial(server.target, { signal: controller.signal })
  const socket = await server.next()
  server.close()
  controller.abort()
  socket.write('alive')
  assert.equal((await endpoint.read(30_000)).toString(), 'alive')
  endpoint.destroy('reset')
  socket.destroy()
})

/** Dials `localhost` while only `host` listens there: the family that is refused must not hide the other. */
async function dialLocalhost(bench: Bench, host: string): Promise<void> {
  const plane = planeOf(bench)
  const server = createServer((socket) => socket.end('hello'))
  await new Promise<void>((resolve) => {
    server.listen(0, host, resolve)
  })
  try {
    const { port } = server.address() as AddressInfo
    const endpoint = await plane.dial({ host: 'localhost', port })
    assert.equal((await endpoint.read(30_000)).toString(), 'hello')
    assert.equal(endpoint.remote.family, host === '::1' ? 'ipv6' : 'ipv4')
    endpoint.destroy()
  } finally {
    server.close()
  }
}

const localhost = await lookup('localhost', { all: true })
for (const host of ['127.0.0.1', ...((await hasIpv6()) ? ['::1'] : [])]) {
  if (!localhost.some(({ address }) => address === host)) continue
  contract(`dial: localhost, where only ${host} listens`, onTcp, async (bench) => {
    await dialLocalhost(bench, host)
  })
}

if (await hasIpv6()) {
  contract('dial: an IPv6 address', onTcp, async (bench) => {
    const server = await NodeServer.listen('tcp6')
    const { target } = server
    const endpoint = await planeOf(bench).dial(target)
    const socket = await server.next()
    server.close()
    assert.ok('port' in target)
    assert.deepEqual(endpoint.remote, { family: 'ipv6', host: '::1', port: target.port })
    endpoint.destroy('reset')
    socket.destroy()
  })
}

contract('dial: a name that does not exist', onTcp, async (bench) => {
  // RFC 6761: .invalid never resolves. A machine without a resolver says EAI_AGAIN, perhaps after a while.
  const dial = planeOf(bench).dial({ host: 'nobody.invalid', port: 80 }, { timeoutMs: 3_000 })
  const error = await rejects(dial, 'ERR_DIAL', 'ERR_DIAL_TIMEOUT')
  if (error.code === 'ERR_DIAL') assert.match(causeCode(error), /^(ENOTFOUND|EAI_AGAIN|ENODATA|ESERVFAIL)$/)
  assert.match(error.message, /nobody\.invalid/)
})

contract('dial: targets that are none', onTcp, async (bench) => {
  const plane = planeOf(bench)
  for (const target of [
    { host: '127.0.0.1', port: 65_536 },
    { host: '127.0.0.1', port: -1 },
    { host: '127.0.0.1', port: 1.5 },
    { path: `/${'x'.repeat(300)}` },
  ]) {
    const outcome = await within(
      (async () => await plane.dial(target))().catch((error: unknown) => error),
      'a refusal',
    )
    assert.ok(outcome instanceof MillraceError, `${JSON.stringify(target)}: ${String(outcome)}`)
    assert.ok(['ERR_ADDRESS', 'ERR_DIAL'].includes(outcome.code), outcome.code)
  }
})

contract('dial: many at once', where, async (bench) => {
  const plane = planeOf(bench)
  const server = await NodeServer.listen(bench.pairing.b.transport)
  const endpoints = await Promise.all(Array.from({ length: 100 }, () => plane.dial(server.target)))
  for (const [index, endpoint] of endpoints.entries()) endpoint.write(Buffer.from(`${index}`))
  for (const endpoint of endpoints) endpoint.destroy()
  const seen = new Set<string>()
  for (let count = 0; count < 100; count++) {
    const received = collect(await server.next())
    assert.equal(await received.ended, 'fin')
    seen.add(received.bytes().toString())
  }
  server.close()
  assert.equal(seen.size, 100)
})
