import { strict as assert } from 'node:assert'
import type { DataPlane, Join, JoinResult, JoinToOptions } from '../../src/dataplane/types.ts'
import { blackHole } from './harness/black-hole.ts'
import { type Bench, contract, joins, tcp, unix } from './harness/contract.ts'
import { collect, endpointOf } from './harness/raw.ts'
import { freshPath, NodeServer } from './harness/sockets.ts'
import { eventually, turns, within } from './harness/wait.ts'

const where = { who: joins, on: [tcp, unix] }
const onTcp = { who: joins, on: [tcp] }

function planeOf(bench: Bench): DataPlane {
  const { plane } = bench.contestant
  assert.ok(plane)
  return plane
}

/** What was told of the end; checks that it was told once. */
async function onlyEnd(done: Promise<JoinResult>, told: readonly JoinResult[]): Promise<JoinResult> {
  const result = await within(done, 'done')
  await turns()
  assert.deepEqual(told, [result])
  return result
}

contract('joinTo: a head that was given back, bytes both ways, half-close', where, async (bench) => {
  const server = await NodeServer.listen(bench.pairing.b.transport)
  const { endpoint, socket } = await endpointOf(bench)
  socket.write('head and ')
  endpoint.unread(await endpoint.read(30_000))
  const told: JoinResult[] = []
  const join = planeOf(bench).joinTo(endpoint, server.target, { onEnd: (result) => told.push(result) })
  const service = await server.next()
  server.close()
  const toService = collect(service)
  const toVisitor = collect(socket)
  socket.end('body')
  assert.equal(await toService.ended, 'fin')
  assert.equal(toService.bytes().toString(), 'head and body')
  service.end('answer after the FIN')
  assert.equal(await toVisitor.ended, 'fin')
  assert.equal(toVisitor.bytes().toString(), 'answer after the FIN')
  const { reason, aToB, bToA } = await onlyEnd(join.done, told)
  assert.deepEqual([reason, aToB, bToA], ['eof', 13n, 20n])
})

contract('joinTo: nobody listens', where, async (bench) => {
  const server = await NodeServer.listen(bench.pairing.b.transport)
  const target = bench.pairing.b.transport === 'unix' ? { path: freshPath() } : server.target
  server.close()
  const { endpoint, socket } = await endpointOf(bench)
  const visitor = collect(socket)
  const told: JoinResult[] = []
  const join = planeOf(bench).joinTo(endpoint, target, { onEnd: (result) => told.push(result) })
  const result = await onlyEnd(join.done, told)
  const errno = bench.pairing.b.transport === 'unix' ? 'ENOENT' : 'ECONNREFUSED'
  assert.deepEqual([result.reason, result.errno], ['unreachable', errno])
  const end = await visitor.ended
  if (bench.pairing.a.transport === 'tcp') assert.notEqual(end, 'fin')
})

contract('joinTo: a path with a NUL in it', { who: joins, on: [unix] }, async (bench) => {
  const { endpoint, socket } = await endpointOf(bench)
  const visitor = collect(socket)
  const { reason, errno } = await planeOf(bench).joinTo(endpoint, { path: `${freshPath()}\0` }).done
  assert.deepEqual([reason, errno], ['unreachable', 'EINVAL'])
  await visitor.ended
})

contract('joinTo: a name', onTcp, async (bench) => {
  const server = await NodeServer.listen('tcp')
  const { target } = server
  assert.ok('port' in target)
  const { endpoint, socket } = await endpointOf(bench)
  let named: Join | undefined
  const onEnd = (_: JoinResult, ended: Join): void => {
    named = ended
  }
  const join = planeOf(bench).joinTo(endpoint, { host: 'localhost', port: target.port }, { onEnd })
  const service = await server.next()
  server.close()
  const toService = collect(service)
  const toVisitor = collect(socket)
  socket.end('by name')
  assert.equal(await toService.ended, 'fin')
  service.end()
  assert.equal(await toVisitor.ended, 'fin')
  assert.equal(toService.bytes().toString(), 'by name')
  assert.equal((await within(join.done, 'done')).reason, 'eof')
  assert.equal(named, join, 'the handle that the caller has')
})

contract('joinTo: the visitor dies while a name is dialed', onTcp, async (bench) => {
  const server = await NodeServer.listen('tcp')
  const { target } = server
  assert.ok('port' in target)
  const { endpoint, socket } = await endpointOf(bench)
  const told: JoinResult[] = []
  const options: JoinToOptions = { onEnd: (result) => told.push(result) }
  socket.resetAndDestroy()
  const join = planeOf(bench).joinTo(endpoint, { host: 'localhost', port: target.port }, options)
  const { reason } = await onlyEnd(join.done, told)
  server.close()
  assert.equal(reason, 'reset')
})

contract('joinTo: the time-out, and an abort, while it dials', onTcp, async (bench) => {
  const plane = planeOf(bench)
  const hole = await blackHole()
  const target = { host: '127.0.0.1', port: hole.port }
  try {
    const base = plane.stats().joins
    const [one, two, three] = [await endpointOf(bench), await endpointOf(bench), await endpointOf(bench)]
    const controller = new AbortController()
    const late = plane.joinTo(one.endpoint, target, { dialTimeoutMs: 300 })
    const destroyed = plane.joinTo(two.endpoint, target)
    const signalled = plane.joinTo(three.endpoint, target, { signal: controller.signal })
    destroyed.destroy()
    controller.abort()
    const { reason, errno } = await within(late.done, 'the time-out')
    assert.deepEqual([reason, errno], ['unreachable', 'ETIMEDOUT'])
    assert.equal((await within(destroyed.done, 'destroy')).reason, 'aborted')
    assert.equal((await within(signalled.done, 'the signal')).reason, 'aborted')
    await eventually('no join is left', () => plane.stats().joins === base)
  } finally {
    await hole.close()
  }
})

contract('joinTo: what is wrong is thrown before anything is taken', onTcp, async (bench) => {
  const plane = planeOf(bench)
  const server = await NodeServer.listen('tcp')
  const { target } = server
  const { endpoint } = await endpointOf(bench)
  for (const options of [{ idleMs: -1 }, { dialTimeoutMs: -1 }, { aToB: { drive: 'caller' } }] as const) {
    assert.throws(() => plane.joinTo(endpoint, target, options), { code: 'ERR_OPTION' })
  }
  assert.throws(() => plane.joinTo(endpoint, { host: '127.0.0.1', port: 0 }), { code: 'ERR_OPTION' })
  const join = plane.joinTo(endpoint, target)
  assert.throws(() => plane.joinTo(endpoint, target), { code: 'ERR_ENDPOINT_JOINED' })
  const service = await server.next()
  server.close()
  join.destroy()
  assert.equal((await within(join.done, 'done')).reason, 'aborted')
  service.destroy()
})

contract('joinTo: a name that does not exist', onTcp, async (bench) => {
  const { endpoint } = await endpointOf(bench)
  // RFC 6761: .invalid never resolves. A machine without a resolver may take its time.
  const join = planeOf(bench).joinTo(endpoint, { host: 'nobody.invalid', port: 80 }, { dialTimeoutMs: 3_000 })
  const { reason, errno } = await within(join.done, 'done')
  assert.equal(reason, 'unreachable')
  assert.match(errno, /^(ENOTFOUND|EAI_AGAIN|ENODATA|ESERVFAIL|ETIMEDOUT)$/)
})
