/**
 * Run by .ci/run on newer Nodes, which strip the types themselves: `node test/package/node-matrix.ts MAJOR`. The addon
 * that was built on this machine's Node must load there and join, in the main thread and in a worker thread, and leave
 * the process without trouble.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'

// What ships is tested, not the sources.
const compiled = '../../dist/index.js'
const { join } = (await import(compiled)) as typeof import('../../src/index.ts')

const bytes = 4 << 20

/** A connected pair of sockets: ours, which nothing has read from, and the peer's. */
async function pair(): Promise<{ readonly ours: Socket; readonly peer: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert(typeof address === 'object' && address !== null)
  const peer = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
  const [ours] = await Promise.all([accepted, once(peer, 'connect')])
  server.close()
  return { ours, peer }
}

/** Sends random bytes and FIN; returns their hash. */
function send(socket: Socket): string {
  const block = randomBytes(bytes)
  socket.end(block)
  return createHash('sha256').update(block).digest('hex')
}

async function receive(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of socket as AsyncIterable<Buffer>) hash.update(chunk)
  return hash.digest('hex')
}

/** Joins, checks what arrived, and returns how many bytes were spliced. */
async function joinOnce(): Promise<bigint> {
  const [a, b] = await Promise.all([pair(), pair()])
  const joined = join(a.ours, b.ours)
  const sent = [send(a.peer), send(b.peer)]
  const received = await Promise.all([receive(b.peer), receive(a.peer)])
  assert.deepEqual(received, sent)
  const result = await joined.done
  assert.deepEqual([result.aToB, result.bToA, result.reason], [BigInt(bytes), BigInt(bytes), 'eof'])
  assert(['copy', 'splice'].includes(result.path.aToB), `not the native data plane: path ${result.path.aToB}`)
  return result.spliced.aToB + result.spliced.bToA
}

if (isMainThread) {
  const [major] = process.argv.slice(2)
  assert.equal(process.versions.node.split('.')[0], major, `this is ${process.version}`)
  const spliced = await joinOnce()
  const worker = new Worker(new URL(import.meta.url))
  const [inWorker] = (await once(worker, 'message')) as [bigint]
  await once(worker, 'exit')
  // A join in mid-flow while the process exits.
  const [a, b] = await Promise.all([pair(), pair()])
  join(a.ours, b.ours)
  a.peer.write(randomBytes(bytes))
  console.log(`${process.version}: joined natively, ${spliced} bytes spliced; in a worker thread ${inWorker}`)
  process.exit(0)
} else {
  parentPort?.postMessage(await joinOnce())
}
