/** Run by lifecycle.test.ts: a join, and nothing else, keeps the process; afterwards nothing does. */
import { spawn } from 'node:child_process'
import type { Endpoint } from '../../../src/dataplane/types.ts'
import { deferred } from '../pair.ts'
import { nativePlane } from './plane.ts'

const plane = nativePlane()
const endpoints: Endpoint[] = []
const { promise, resolve } = deferred<readonly Endpoint[]>()
const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
  endpoints.push(...batch)
  if (endpoints.length === 3) resolve(endpoints)
})
if (listener.address.family === 'unix') throw new Error('expected an IP address')
// The peers are another process, so that only the engine's objects can keep this one.
const peers = `
  const options = { port: ${listener.address.port}, host: '127.0.0.1', allowHalfOpen: true }
  const sockets = [1, 2, 3].map(() => require('node:net').connect(options))
  for (const socket of sockets) socket.resume().on('error', () => {})
  setTimeout(() => { for (const socket of sockets) socket.end('bye') }, 500)`
spawn(process.execPath, ['-e', peers], { stdio: 'ignore' }).unref()

const [a, b, unused] = await promise
if (a === undefined || b === undefined) throw new Error('expected endpoints')
unused?.destroy('reset')
const { done } = plane.join(a, b)
await listener.close()
const { reason } = await done
const ended = performance.now()
process.on('exit', () => console.log(`done ${reason}, exit after ${Math.round(performance.now() - ended)} ms`))
