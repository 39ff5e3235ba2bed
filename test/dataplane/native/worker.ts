/** The body of a worker thread of the tests, started by thread.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import { readAll } from '../pair.ts'
import { nativePlane } from './plane.ts'
import { adoptedPair } from './sockets.ts'
import { traffic } from './traffic.ts'

const plane = nativePlane()
if (workerData === 'traffic') {
  await Promise.all([traffic(plane), traffic(plane)])
  parentPort?.postMessage('ready')
} else {
  const { a, b, join } = await adoptedPair(plane)
  const block = Buffer.alloc(1 << 20, 5)
  a.peer.end(block)
  b.peer.end(block)
  const received = await Promise.all([readAll(a.peer), readAll(b.peer)])
  const result = await join.done
  parentPort?.postMessage({
    whole: received.every((bytes) => bytes.equals(block)),
    reason: result.reason,
    bytes: Number(result.aToB + result.bToA),
  })
}
