/**
 * `threads.mjs [MAJOR]`: fifty worker threads load the addon, listen, dial, join, and are ended: half of them at a random
 * moment, which may be that of the load, the others in mid-traffic. First with nobody else in the process, so that the
 * engine comes and goes with them; then beside a join of the main thread's, which must go on. Afterwards every descriptor
 * and every thread of the engine is gone. Run by threads.test.ts, and by .ci/run on newer Nodes.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { descriptors, engineThreads, until } from './parts.mjs'
import { startTraffic } from './traffic.mjs'

const threads = 50
/** Within this a thread loads and gets into traffic, ms; random ends fall into it. */
const youngMs = 3_000

/** One generation of threads, all at once; returns how many were ended before their traffic began. */
async function generation() {
  let young = 0
  const lives = Array.from({ length: threads }, async (_, index) => {
    const thread = new Worker(new URL(import.meta.url))
    /** @type {unknown} */
    let failure
    thread.on('error', (error) => {
      failure = error
    })
    let flowing = false
    const ready = once(thread, 'message').then(() => {
      flowing = true
    })
    if (index % 2 === 0) await ready
    else await new Promise((resolve) => setTimeout(resolve, Math.random() * youngMs))
    if (!flowing) young += 1
    const code = await thread.terminate()
    assert.equal(failure, undefined)
    // Node says 0 of a thread that was ended before its first line ran.
    assert(code === 1 || (code === 0 && !flowing), `a thread ended with code ${code}`)
  })
  await Promise.all(lives)
  return young
}

async function main() {
  const major = process.argv[2]
  if (major !== undefined) assert.equal(process.versions.node.split('.')[0], major, `this is ${process.version}`)
  // What Node itself opens for its first thread stays.
  const first = new Worker('', { eval: true })
  await once(first, 'exit')
  const before = descriptors()
  const clean = () => {
    const now = descriptors()
    return now.others === before.others && now.pipes === before.pipes && engineThreads() === 0
  }
  const state = () => `${JSON.stringify(before)} again, ${JSON.stringify(descriptors())}, ${engineThreads()} threads`

  const alone = await generation()
  await until(clean, state)

  const { plane, join, stop } = await startTraffic()
  const beside = descriptors().others
  const young = await generation()
  await until(
    () => descriptors().others === beside,
    () => `${beside} descriptors beside pipes, ${JSON.stringify(descriptors())}`,
  )
  const { joins, endpoints, listeners } = plane.stats()
  assert.deepEqual([joins, endpoints, listeners], [1, 2, 1], 'only what the main thread has')
  const { aToB } = join.bytes
  await until(
    () => join.bytes.aToB > aToB + (8n << 20n),
    () => `the main thread's bytes go on, ${join.bytes.aToB}`,
  )
  await stop()
  // The engine stays, idle pipes included: each worker has an epoll and an eventfd.
  const idle = () => ({
    others: before.others + 2 * plane.stats().threads,
    pipes: before.pipes + 2 * plane.stats().pipes,
  })
  await until(
    () => descriptors().others === idle().others && descriptors().pipes === idle().pipes,
    () => `${JSON.stringify(idle())}, ${JSON.stringify(descriptors())}`,
  )
  console.log(
    `${process.version}: 2 × ${threads} threads ended, ${alone} + ${young} of them before their traffic; nothing is left`,
  )
}

if (isMainThread) await main()
else {
  await startTraffic()
  parentPort?.postMessage('flowing')
}
