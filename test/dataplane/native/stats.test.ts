import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadAddon } from '../../../src/dataplane/native/load.ts'
import { statKeys, type WorkerStats } from '../../../src/dataplane/stats.ts'
import { workerStats } from '../../../src/dataplane/worker-stats.ts'
import { nativePlane, skip } from './plane.ts'
import { adoptedPair, securedPair } from './sockets.ts'

const header = readFileSync(new URL('../../../native/engine/stats.h', import.meta.url), 'utf8')

function plain(name: string): string {
  return name.replaceAll(/[^A-Za-z]/g, '').toLowerCase()
}

/** The numbers of a worker under their dotted names. */
function flat(stats: WorkerStats): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>()
  const walk = (value: unknown, path: string): void => {
    if (typeof value === 'number') numbers.set(path, value)
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) walk(inner, path === '' ? key : `${path}.${key}`)
    }
  }
  walk(stats, '')
  return numbers
}

test('stats: the names are those of the engine, in its order', () => {
  const body = header.match(/enum class Stat : uint8_t \{([\s\S]*?)kCount/)?.[1] ?? ''
  const names = [...body.replaceAll(/\/\/.*/g, '').matchAll(/\w+/g)].map(([name]) => plain(name))
  assert.ok(names.length > 40, 'the header is understood')
  assert.deepEqual(statKeys.slice(0, names.length).map(plain), names)
  assert.deepEqual(statKeys.slice(names.length), ['bytes.stream'])
})

test('stats: every number is at its place in the object', () => {
  const numbers = flat(workerStats('engine-0', (key) => statKeys.indexOf(key) + 1))
  assert.deepEqual([...numbers.keys()].sort(), [...statKeys].sort())
  for (const [index, key] of statKeys.entries()) assert.equal(numbers.get(key), index + 1, key)
})

test('stats: reading them calls nothing of the addon', { skip }, async () => {
  const plane = nativePlane()
  const { a, b, join } = await adoptedPair(plane)
  const loaded = loadAddon()
  assert(loaded.state === 'loaded')
  const { addon } = loaded
  const functions = Object.entries(addon)
  for (const [name] of functions) {
    Reflect.set(addon, name, () => assert.fail(`stats() or the counters called ${name}`))
  }
  try {
    const stats = plane.stats()
    assert.deepEqual([stats.joins, stats.endpoints, join.bytes.aToB], [1, 2, 0n])
    assert.equal(stats.workers.length, stats.threads + 1)
  } finally {
    for (const [name, call] of functions) Reflect.set(addon, name, call)
  }
  a.peer.resume().end()
  b.peer.resume().end()
  await join.done
})

test('stats: what a join has moved is there when its end is told', { skip }, async () => {
  const plane = nativePlane()
  const before = plane.stats().total
  const { a, b, join } = await adoptedPair(plane)
  assert.equal(plane.stats().endpoints, 2)
  a.peer.resume().end(Buffer.alloc(700_000))
  b.peer.resume().end(Buffer.alloc(5))
  const { spliced, reason } = await join.done
  assert.equal(reason, 'eof')
  const { total, joins, endpoints } = plane.stats()
  const moved = total.bytes.splice + total.bytes.copy - before.bytes.splice - before.bytes.copy
  assert.equal(moved, 700_005)
  assert.equal(total.bytes.splice - before.bytes.splice, Number(spliced.aToB + spliced.bToA))
  assert.deepEqual([joins, endpoints], [0, 0])
  assert.equal(total.ended.eof - before.ended.eof, 1)
  assert.equal(total.joins.begun - before.joins.begun, 1)
  assert.equal(total.endpoints.born - before.endpoints.born, 2)
  assert.equal(total.joins.now, 0)
})

test('stats: engine threads, then streams, and a total that is their sum', { skip }, async () => {
  const plane = nativePlane()
  const { near, far } = await securedPair(plane)
  const { endpoints, workers, total } = plane.stats()
  assert.equal(endpoints, 2)
  assert.deepEqual(
    workers.map(({ name }) => name),
    [...Array.from({ length: workers.length - 1 }, (_, index) => `engine-${index}`), 'streams'],
  )
  const sum = new Map<string, number>()
  for (const one of workers) for (const [key, n] of flat(one)) sum.set(key, (sum.get(key) ?? 0) + n)
  assert.deepEqual(flat(total), sum)
  assert.ok(total.handshakes.done >= 2)
  assert.equal(total.handshakes.now, 0)
  near.destroy('reset')
  far.destroy('reset')
  while (plane.stats().endpoints > 0) await sleep(1)
})

test('stats: an idle process stays idle', { skip }, async () => {
  const plane = nativePlane()
  const pairs = await Promise.all(Array.from({ length: 20 }, () => adoptedPair(plane)))
  for (const { a, b } of pairs) {
    a.peer.write('x')
    b.peer.resume()
  }
  while (pairs.some(({ join }) => join.bytes.aToB === 0n)) await sleep(1)
  // The workers' last words.
  await sleep(50)
  const { turns } = plane.stats().total
  await sleep(300)
  assert.equal(plane.stats().total.turns, turns)
  assert.equal(plane.stats().total.pipes.leased, 0)
  for (const { join } of pairs) join.destroy()
  await Promise.all(pairs.map(({ join }) => join.done))
  while (plane.stats().endpoints > 0) await sleep(1)
})
