/** Run by lifecycle.test.ts: callbacks throw; whoever else waits for an event gets it. */
import { connect } from 'node:net'
import type { Endpoint } from '../../../src/dataplane/types.ts'
import { deferred } from '../pair.ts'
import { nativePlane } from './plane.ts'
import { adoptedPair } from './sockets.ts'

const plane = nativePlane()
const uncaught: string[] = []
process.on('uncaughtException', (error) => uncaught.push(error.message))
const count = (word: string): string => `uncaught ${word} ${uncaught.filter((one) => one === word).length}`

// Each connection comes once the one before it has, so that each is a batch of its own.
const endpoints: Endpoint[] = []
const { promise, resolve } = deferred<undefined>()
const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
  endpoints.push(...batch)
  if (endpoints.length === 10) resolve(undefined)
  else next()
  throw new Error('onEndpoints')
})
const { address } = listener
if (address.family === 'unix') throw new Error('expected an IP address')
const sockets: ReturnType<typeof connect>[] = []
const next = (): void => {
  sockets.push(connect(address.port, '127.0.0.1').on('error', () => {}))
}
next()
await promise
await listener.close()
console.log(`accepted ${endpoints.length}`)
console.log(count('onEndpoints'))

const [first, ...others] = endpoints
first?.onClosed(() => {
  throw new Error('onClosed')
})
const reads = others.map((endpoint) => endpoint.read(30_000))
for (const socket of sockets) socket.end('x')
const read = await Promise.all(reads)
while (!uncaught.includes('onClosed')) await new Promise((done) => setImmediate(done))
console.log(count('onClosed'))

const pairs = await Promise.all(
  Array.from({ length: 10 }, (_, index) =>
    adoptedPair(plane, {
      onEnd: () => {
        if (index === 4) throw new Error('onEnd')
      },
    }),
  ),
)
for (const { join } of pairs) join.destroy()
const ended = await Promise.all(pairs.map(({ join }) => join.done))
await new Promise((done) => setImmediate(done))
console.log(count('onEnd'))
console.log(`read ${read.length}`)
console.log(`ended ${ended.length}`)
for (const endpoint of endpoints) endpoint.destroy('reset')
