import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { DataPlane, Endpoint, Listener, ListenOptions } from '../../src/dataplane/types.ts'
import { type Bench, contract, joins, tcp, unix } from './harness/contract.ts'
import { causeCode, collect, rejects } from './harness/raw.ts'
import { connectNode, freshAddress, freshPath, targetOf } from './harness/sockets.ts'
import { eventually, sleep, within } from './harness/wait.ts'

const where = { who: joins, on: [tcp, unix] }
const onTcp = { who: joins, on: [tcp] }

interface Open {
  readonly plane: DataPlane
  readonly listener: Listener
  readonly endpoints: Endpoint[]
  readonly batches: number[]
}

/** A listener of the pairing's a side that collects what arrives; closed with all of it after the test. */
async function open(bench: Bench, options: ListenOptions = {}): Promise<Open> {
  const { plane } = bench.contestant
  assert.ok(plane)
  const endpoints: Endpoint[] = []
  const batches: number[] = []
  const listener = await plane.listen(freshAddress(bench.pairing.a.transport), options, (batch) => {
    batches.push(batch.length)
    endpoints.push(...batch)
  })
  bench.t.after(async () => {
    await listener.close()
    for (const endpoint of endpoints) endpoint.destroy('reset')
  })
  return { plane, listener, endpoints, batches }
}

/** Connects without complaints. */
async function client(bench: Bench, listener: Listener): Promise<Socket> {
  const socket = connect({ ...targetOf(listener.address), allowHalfOpen: true })
  socket.on('error', () => undefined)
  bench.t.after(() => {
    socket.destroy()
  })
  // A refused one may be reset before it knows that it was connected.
  const settled = new Promise<void>((resolve) => {
    socket.once('connect', resolve)
    socket.once('close', () => {
      resolve()
    })
  })
  await within(settled, 'connect')
  return socket
}

contract('listener: port 0 is a real port in its address', onTcp, async (bench) => {
  const { listener } = await open(bench)
  assert.ok(listener.address.family === 'ipv4' && listener.address.port > 0)
  assert.equal(listener.address.host, '127.0.0.1')
  assert.equal(listener.refused, 0)
})

contract('listener: 200 connections at once', where, async (bench) => {
  const { listener, endpoints, batches } = await open(bench)
  const began = performance.now()
  const sockets = Array.from({ length: 200 }, (_, index) => {
    const socket = connect({ ...targetOf(listener.address) })
    socket.on('error', () => undefined)
    socket.write(`${index}\n`)
    bench.t.after(() => {
      socket.destroy()
    })
    return socket
  })
  await eventually('200 endpoints', () => endpoints.length === 200)
  assert.ok(performance.now() - began < 20_000)
  assert.ok(batches.every((length) => length > 0))
  const numbers = await Promise.all(
    endpoints.map(async (endpoint) => {
      const line = await endpoint.readHead((bytes) => bytes.indexOf('\n') + 1, 10, 30_000)
      endpoint.write(line)
      return Number(line.toString())
    }),
  )
  assert.deepEqual(
    numbers.sort((a, b) => a - b),
    Array.from({ length: 200 }, (_, index) => index),
  )
  const answers = sockets.map((socket) => collect(socket))
  await eventually('every answer', () => answers.every((answer) => answer.bytes().includes(10)))
  assert.deepEqual(
    answers.map((answer) => answer.bytes().toString()),
    answers.map((_, index) => `${index}\n`),
  )
})

contract('listener: close() delivers what the kernel had queued, and endpoints live on', where, async (bench) => {
  const { listener, endpoints } = await open(bench)
  const sockets = await Promise.all(Array.from({ length: 20 }, () => client(bench, listener)))
  const answers = sockets.map((socket) => collect(socket))
  await within(listener.close(), 'close()')
  await eventually(
    () => `20 endpoints, not ${endpoints.length}`,
    () => endpoints.length === 20,
  )
  for (const endpoint of endpoints) {
    endpoint.write(Buffer.from('here'))
    endpoint.destroy()
  }
  for (const answer of answers) assert.equal(await answer.ended, 'fin')
  assert.deepEqual(new Set(answers.map((answer) => answer.bytes().toString())), new Set(['here']))
})

contract('listener: nobody gets in after close()', where, async (bench) => {
  const { listener, endpoints } = await open(bench)
  const target = targetOf(listener.address)
  await within(Promise.all([listener.close(), listener.close()]), 'close() twice')
  await assert.rejects(connectNode(target))
  assert.deepEqual(endpoints, [])
  if ('path' in target) assert.equal(existsSync(target.path), false, 'the path is unlinked')
})

contract('listener: the address can be used again at once', where, async (bench) => {
  const { listener, plane } = await open(bench)
  const socket = await client(bench, listener)
  const target = targetOf(listener.address)
  await listener.close()
  socket.destroy()
  const again = await plane.listen(target, {}, () => undefined)
  assert.deepEqual(again.address, listener.address)
  await again.close()
})

contract('listener: maxEndpoints refuses the newest and counts it', where, async (bench) => {
  const { listener, endpoints } = await open(bench, { maxEndpoints: 3 })
  const sockets: Socket[] = []
  for (let count = 0; count < 3; count++) sockets.push(await client(bench, listener))
  await eventually('three endpoints', () => endpoints.length === 3)
  const refused = [await client(bench, listener), await client(bench, listener)].map((socket) => collect(socket))
  for (const one of refused) assert.notEqual(await one.ended, '')
  await eventually('refused is counted', () => listener.refused === 2)
  assert.equal(endpoints.length, 3)
  // A place that is free again is given away.
  endpoints.shift()?.destroy('reset')
  sockets[0]?.destroy()
  for (let tries = 0; endpoints.length < 3 && tries < 200; tries++) {
    await client(bench, listener)
    await sleep(20)
  }
  assert.equal(endpoints.length, 3)
})

contract('listener: an address in use', where, async (bench) => {
  const { listener, plane } = await open(bench)
  const error = await rejects(
    plane.listen(targetOf(listener.address), {}, () => undefined),
    'ERR_LISTEN',
  )
  assert.equal(causeCode(error), 'EADDRINUSE')
  // The first one is not harmed.
  await client(bench, listener)
})

contract('listener: addresses that cannot be bound', onTcp, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  // TEST-NET-3 (RFC 5737) is nobody's.
  const foreign = await rejects(
    plane.listen({ host: '203.0.113.1', port: 0 }, {}, () => undefined),
    'ERR_LISTEN',
  )
  assert.equal(causeCode(foreign), 'EADDRNOTAVAIL')
  const nowhere = await rejects(
    plane.listen({ path: `${freshPath()}/no/dir` }, {}, () => undefined),
    'ERR_LISTEN',
  )
  assert.match(causeCode(nowhere), /^E[A-Z]+$/)
})

contract('listener: a path with a NUL in it', { who: joins, on: [unix] }, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  for (const path of [`${freshPath()}\0`, '\0abstract']) {
    const error = await rejects(
      plane.listen({ path }, {}, () => undefined),
      'ERR_LISTEN',
    )
    assert.equal(causeCode(error), 'EINVAL')
  }
})

contract('listener: a stale unix path and a file that is no socket', { who: joins, on: [unix] }, async (bench) => {
  const { plane } = bench.contestant
  assert.ok(plane)
  const error = await rejects(
    plane.listen({ path: import.meta.filename }, {}, () => undefined),
    'ERR_LISTEN',
  )
  assert.match(causeCode(error), /^E[A-Z]+$/)
  assert.ok(existsSync(import.meta.filename), 'nothing of ours was deleted')
})

contract('listener: clients that are gone before they are accepted', where, async (bench) => {
  const { listener, endpoints } = await open(bench)
  for (let count = 0; count < 20; count++) {
    const socket = await client(bench, listener)
    if (count % 2 === 0 && bench.pairing === tcp) socket.resetAndDestroy()
    else socket.destroy()
  }
  const last = await client(bench, listener)
  last.write('I stay')
  await eventually('the last one', () => endpoints.length > 0)
  await sleep(50)
  const texts = await Promise.all(
    endpoints.map((endpoint) =>
      endpoint.read(1_000).then(
        (bytes) => bytes.toString(),
        () => '',
      ),
    ),
  )
  assert.ok(texts.includes('I stay'))
})
