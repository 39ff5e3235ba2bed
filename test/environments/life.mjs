/**
 * `life.mjs STAGE ENDING`: brings the data plane into a stage of its life, and leaves the process there. ENDING:
 * `natural` (lets go of what it has: the process must end by itself), `exit` (code 7), `throw` (an uncaught exception),
 * `term` (SIGTERM, unhandled), `handled` (SIGTERM, whose handler calls process.exit(7)). Run by
 * life.test.ts, which forks it: signals are asked for over the channel.
 */
import process from 'node:process'
import { flood, loadPlane, startListener, startService, visit } from './parts.mjs'
import { startTraffic } from './traffic.mjs'

const [stage = '', ending = ''] = process.argv.slice(2)

/** Ends this process in its way. With `natural` it returns, and the stage goes on to let go of what it has. */
async function leave() {
  if (ending === 'exit') process.exit(7)
  if (ending === 'throw') {
    setImmediate(() => {
      throw new Error('of the test')
    })
    await new Promise(() => {})
  }
  if (ending === 'natural') {
    process.disconnect()
    return
  }
  if (ending === 'handled') process.on('SIGTERM', () => process.exit(7))
  process.send?.('now')
  // Nothing else keeps a process in which nothing goes on.
  setInterval(() => {}, 1_000)
  await new Promise(() => {})
}

/** Two endpoints and the sockets of their peers. */
async function twoEndpoints() {
  const plane = await loadPlane()
  const { listener, port, next } = await startListener(plane)
  const [a, b, one, other] = await Promise.all([visit(port), visit(port), next(), next()])
  await listener.close()
  return { plane, a, b, one, other }
}

/** @type {Readonly<Record<string, () => Promise<unknown>>>} */
const stages = {
  'before load': leave,
  'after load': async () => {
    await loadPlane()
    await leave()
  },
  listening: async () => {
    const plane = await loadPlane()
    const { listener, port, next } = await startListener(plane)
    const visitors = Array.from({ length: 20 }, () => visit(port))
    const left = leave()
    for (const visitor of await Promise.all(visitors)) visitor.destroy()
    for (let count = 0; count < visitors.length; count++) (await next()).destroy()
    await listener.close()
    await left
  },
  dialing: async () => {
    const plane = await loadPlane()
    const { server, port } = await startService()
    const dials = Array.from({ length: 20 }, () => plane.dial({ host: '127.0.0.1', port }))
    const left = leave()
    server.on('connection', (socket) => socket.resume().end())
    for (const endpoint of await Promise.all(dials)) endpoint.destroy()
    server.close()
    await left
  },
  'endpoints open': async () => {
    const { a, b, one, other } = await twoEndpoints()
    one.read(60_000).catch(() => {})
    other.write(Buffer.from('on its way'))
    await leave()
    for (const endpoint of [one, other]) endpoint.destroy('reset')
    for (const socket of [a, b]) socket.destroy()
  },
  joined: async () => {
    const { plane, a, b, one, other } = await twoEndpoints()
    plane.join(one, other)
    await leave()
    for (const socket of [a, b]) socket.resume().end()
  },
  'in mid-traffic': async () => {
    const { stop } = await startTraffic()
    await leave()
    await stop()
  },
  'during the end': async () => {
    const { stop } = await startTraffic()
    const { plane, a, b, one, other } = await twoEndpoints()
    const { done } = plane.join(one, other)
    flood(a)
    b.resume()
    // One join is being destroyed, the other has seen a FIN behind bytes that are still on their way.
    const stopped = stop()
    a.end()
    b.end()
    await leave()
    await Promise.all([stopped, done])
  },
  'after the end': async () => {
    const { stop } = await startTraffic()
    await stop()
    await leave()
  },
}

const run = stages[stage]
if (run === undefined) throw new Error(`no such stage: ${stage}`)
await run()
