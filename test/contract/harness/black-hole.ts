import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

/**
 * A TCP address that never answers: a listener whose queue is full and whose thread sleeps, so that the kernel drops
 * further SYNs. `close` wakes the thread.
 */
export interface BlackHole {
  readonly port: number
  close(): Promise<void>
}

const sleeper = `
const { createServer } = require('node:net')
const { parentPort, workerData } = require('node:worker_threads')
const server = createServer()
server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  setImmediate(() => {
    Atomics.wait(new Int32Array(workerData), 0, 0)
    process.exit()
  })
})
`

/** Digs a black hole on loopback. */
export async function blackHole(): Promise<BlackHole> {
  const flag = new SharedArrayBuffer(4)
  const worker = new Worker(sleeper, { eval: true, workerData: flag })
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  const fillers: Socket[] = []
  for (let count = 0; count < 6; count++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    fillers.push(socket)
  }
  // The queue holds two; the others hang as the test's own dial will.
  await new Promise((resolve) => setTimeout(resolve, 100))
  return {
    port,
    close: async () => {
      for (const socket of fillers) socket.destroy()
      const gone = new Promise((resolve) => worker.once('exit', resolve))
      Atomics.store(new Int32Array(flag), 0, 1)
      Atomics.notify(new Int32Array(flag), 0)
      await gone
    },
  }
}
