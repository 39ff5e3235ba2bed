/**
 * Run by .ci/run on newer Nodes, which strip the types themselves: `node test/package/node-matrix.ts MAJOR`. The addon
 * that was built on this machine's Node must load there and join sockets of that Node's, count, speak TLS, live in
 * worker threads, and leave the process without trouble.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

// What ships is tested, not the sources.
const compiled = '../../dist/index.js'
const { defaultDataPlane, join } = (await import(compiled)) as typeof import('../../src/index.ts')

const bytes = 4 << 20
/** Worker threads at once; each is ended in the middle of its traffic. */
const threads = 8
const self = fileURLToPath(import.meta.url)

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
  // Peers of joins that are cut off are reset.
  peer.on('error', () => {})
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

/** What Node had read itself goes along; and the count grows in shared memory while this thread only looks. */
async function takeOver(): Promise<void> {
  const [a, b] = await Promise.all([pair(), pair()])
  a.peer.write('read by Node,')
  a.ours.on('readable', () => {})
  while (a.ours.readableLength === 0) await once(a.ours, 'readable')
  const joined = join(a.ours, b.ours, { headA: Buffer.from('head,') })
  a.peer.end('read by nobody')
  b.peer.end()
  const late = performance.now() + 30_000
  while (joined.bytes.aToB < 32n) assert(performance.now() < late, `${joined.bytes.aToB} bytes were counted`)
  const chunks: Buffer[] = []
  for await (const chunk of b.peer as AsyncIterable<Buffer>) chunks.push(chunk)
  assert.equal(String(Buffer.concat(chunks)), 'head,read by Node,read by nobody')
  assert.equal((await joined.done).aToB, 32n)
}

/** TLS between two endpoints, which the engine hands over to that Node's streams, joined with plain ones. */
async function speakTls(): Promise<void> {
  const folder = mkdtempSync(joinPath(tmpdir(), 'millrace-matrix-'))
  const [key, cert] = [joinPath(folder, 'key'), joinPath(folder, 'cert')]
  const names = ['-subj', '/CN=matrix.test', '-addext', 'subjectAltName=DNS:matrix.test']
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  try {
    execFileSync('openssl', [...kind, '-keyout', key, '-out', cert, ...names], { stdio: 'ignore' })
    const pem = readFileSync(cert, 'utf8')
    const plane = defaultDataPlane()
    const [visitor, tunnel, local] = await Promise.all([pair(), pair(), pair()])
    const [server, client] = await Promise.all([
      plane.secure(plane.adopt(tunnel.ours), { role: 'server', cert: pem, key: readFileSync(key, 'utf8') }),
      plane.secure(plane.adopt(tunnel.peer), {
        role: 'client',
        serverName: 'matrix.test',
        trust: { kind: 'ca', pem },
      }),
    ])
    const joins = [plane.join(plane.adopt(visitor.ours), server), plane.join(client, plane.adopt(local.ours))]
    const sent = [send(visitor.peer), send(local.peer)]
    assert.deepEqual(await Promise.all([receive(local.peer), receive(visitor.peer)]), sent)
    for (const { reason, path } of await Promise.all(joins.map(({ done }) => done))) {
      assert.deepEqual([reason, path.aToB, path.bToA], ['eof', 'tls', 'tls'])
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A join in full flow, for ever. */
async function flow(): Promise<void> {
  const [a, b] = await Promise.all([pair(), pair()])
  const joined = join(a.ours, b.ours)
  const block = randomBytes(1 << 20)
  const more = (): void => {
    while (!a.peer.destroyed && a.peer.write(block));
  }
  a.peer.on('drain', more)
  b.peer.resume()
  more()
  while (joined.bytes.aToB < bytes) await new Promise((resolve) => setImmediate(resolve))
}

/** Threads that come, join, and are ended in mid-flow, while the main thread's join goes on. */
async function runThreads(): Promise<void> {
  await flow()
  const flowing = Array.from({ length: threads }, () => new Worker(new URL(import.meta.url), { workerData: 'flow' }))
  await Promise.all(flowing.map((thread) => once(thread, 'message')))
  await Promise.all(flowing.map((thread) => thread.terminate()))
  const thread = new Worker(new URL(import.meta.url), { workerData: 'once' })
  // Together: Node may tell both in one go.
  const [[spliced]] = (await Promise.all([once(thread, 'message'), once(thread, 'exit')])) as [[unknown], unknown]
  assert.equal(typeof spliced, 'bigint')
}

/** Processes that exit in mid-flow, with and without threads, must do so by themselves. */
function exitEarly(major: string): void {
  for (const stage of ['exit', 'exit-threads', 'throw']) {
    const child = spawnSync(process.execPath, [self, major, stage], { encoding: 'utf8', timeout: 60_000 })
    assert.deepEqual([child.status, child.signal], [7, null], `${stage}: ${child.stderr}`)
  }
}

async function leaveEarly(stage: string): Promise<void> {
  process.on('uncaughtException', () => process.exit(7))
  await flow()
  if (stage === 'throw') setImmediate(() => assert.fail('of the test'))
  if (stage === 'exit') process.exit(7)
  if (stage !== 'exit-threads') return
  const flowing = Array.from({ length: 2 }, () => new Worker(new URL(import.meta.url), { workerData: 'flow' }))
  await Promise.all(flowing.map((thread) => once(thread, 'message')))
  process.exit(7)
}

const [major = '', stage] = process.argv.slice(2)
if (!isMainThread) {
  if (workerData === 'flow') await flow()
  parentPort?.postMessage(workerData === 'flow' ? 'flowing' : await joinOnce())
} else if (stage !== undefined) await leaveEarly(stage)
else {
  assert.equal(process.versions.node.split('.')[0], major, `this is ${process.version}`)
  const spliced = await joinOnce()
  await takeOver()
  await speakTls()
  await runThreads()
  exitEarly(major)
  console.log(
    `${process.version}: joined natively, ${spliced} bytes spliced; TLS, ${threads} threads and exits are fine`,
  )
  // With a join in mid-flow.
  process.exit(0)
}
