/**
 * Run by lifecycle.test.ts: `stages.ts STAGE` brings the native data plane into a stage of its life and then leaves the
 * process, with code 7, in the middle of it.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { acceptPair, socketPair } from '../pair.ts'
import { nativePlane } from './plane.ts'
import { adoptedPair, nodeServer, securedPair } from './sockets.ts'
import { startThread } from './thread.ts'
import { traffic } from './traffic.ts'

const leave = (): never => process.exit(7)

const stages: Readonly<Record<string, () => Promise<unknown>>> = {
  'before use': async () => {
    await import('../../../src/index.ts')
    leave()
  },
  'after load': async () => {
    const { loadAddon } = await import('../../../src/dataplane/native/load.ts')
    if (loadAddon().state !== 'loaded') throw new Error('the addon does not load')
    leave()
  },
  attached: async () => {
    nativePlane()
    leave()
  },
  listening: async () => {
    const plane = nativePlane()
    const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, () => {})
    if (listener.address.family === 'unix') throw new Error('expected an IP address')
    for (let count = 0; count < 20; count++) connect(listener.address.port, '127.0.0.1').on('error', () => {})
    setImmediate(leave)
  },
  dialing: async () => {
    const plane = nativePlane()
    const { port } = await nodeServer(() => {})
    for (let count = 0; count < 20; count++) plane.dial({ host: '127.0.0.1', port }).catch(() => {})
    setImmediate(leave)
  },
  handshaking: async () => {
    const plane = nativePlane()
    const [near, far] = await socketPair()
    const trust = { kind: 'none' } as const
    plane.secure(plane.adopt(near), { role: 'client', serverName: 'x.test', trust }).catch(() => {})
    far.once('data', leave)
    far.resume()
    await new Promise(() => {})
  },
  'reading with a deadline': async () => {
    const { endpoint } = await acceptPair(nativePlane())
    endpoint.read(10_000).catch(() => {})
    endpoint.onClosed(() => {})
    setImmediate(leave)
  },
  'writing to a peer that reads nothing': async () => {
    const { endpoint } = await acceptPair(nativePlane())
    for (let count = 0; count < 15; count++) endpoint.write(Buffer.alloc(64 * 1024))
    endpoint.flushed().catch(() => {})
    setImmediate(leave)
  },
  'idle joins': async () => {
    const plane = nativePlane()
    await Promise.all(Array.from({ length: 20 }, () => adoptedPair(plane)))
    leave()
  },
  'joins in full traffic': async () => {
    const plane = nativePlane()
    await Promise.all([traffic(plane), traffic(plane)])
    leave()
  },
  'TLS in full traffic': async () => {
    const plane = nativePlane()
    const { near, far } = await securedPair(plane)
    const { endpoint, peer } = await acceptPair(plane)
    const join = plane.join(endpoint, near)
    peer.write(Buffer.alloc(8 << 20))
    for (let seen = 0; seen < 1 << 20; ) seen += (await far.read(30_000)).length
    if (join.bytes.aToB === 0n) throw new Error('nothing was counted')
    leave()
  },
  'in a listener callback': async () => {
    const listener = await nativePlane().listen({ host: '127.0.0.1', port: 0 }, {}, leave)
    if (listener.address.family === 'unix') throw new Error('expected an IP address')
    for (let count = 0; count < 20; count++) connect(listener.address.port, '127.0.0.1').on('error', () => {})
    await new Promise(() => {})
  },
  "in a join's end": async () => {
    const plane = nativePlane()
    const joined = await adoptedPair(plane, { onEnd: leave })
    await Promise.all([traffic(plane), adoptedPair(plane)])
    joined.join.destroy()
    await new Promise(() => {})
  },
  'in the turn of destroy': async () => {
    const plane = nativePlane()
    const pairs = await Promise.all(Array.from({ length: 10 }, () => adoptedPair(plane)))
    for (const { join } of pairs) join.destroy()
    leave()
  },
  lingering: async () => {
    const { endpoint, peer } = await acceptPair(nativePlane())
    endpoint.write(Buffer.alloc(900_000))
    endpoint.destroy('fin')
    peer.write('still talking')
    setTimeout(leave, 20)
  },
  'after an uncaught exception': async () => {
    const plane = nativePlane()
    await traffic(plane)
    process.on('uncaughtException', leave)
    setImmediate(() => {
      throw new Error('of the test')
    })
  },
  'of an uncaught exception': async () => {
    const plane = nativePlane()
    await traffic(plane)
    process.on('exit', () => {
      process.exitCode = 7
    })
    setImmediate(() => {
      throw new Error('of the test')
    })
  },
  'with worker threads in traffic': async () => {
    const plane = nativePlane()
    const workers = [1, 2].map(() => startThread('traffic'))
    await Promise.all([traffic(plane), ...workers.map((worker) => once(worker, 'message'))])
    leave()
  },
  'while a worker thread ends': async () => {
    const plane = nativePlane()
    const worker = startThread('traffic')
    await Promise.all([traffic(plane), once(worker, 'message')])
    void worker.terminate()
    setImmediate(leave)
  },
  'only in a worker thread, which has ended': async () => {
    const worker = startThread('once')
    await once(worker, 'exit')
    leave()
  },
}

const [stage = ''] = process.argv.slice(2)
const run = stages[stage]
if (run === undefined) console.log(JSON.stringify(Object.keys(stages)))
else await run()
