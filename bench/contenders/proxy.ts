/**
 * A TCP proxy on Node, in a process of its own: `node-pipe` is `a.pipe(b)`; `stream`, `copy`, `splice` and `adaptive`
 * are our data planes. argv: contender, address to listen at, service's address, service's port.
 *
 * Prints `{port}`. Answers a line of standard input with a line of JSON: `memory` (after forced collections), `counters`
 * (what reading all of them costs), anything else: statistics.
 */
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { createDataPlane } from '../../src/dataplane/create.ts'
import { readMode } from '../../src/dataplane/mode.ts'
import type { DataPlane, Join, JoinResult } from '../../src/dataplane/types.ts'
import { residentKib } from '../lib/memory.ts'

const [contender = '', host = '127.0.0.1', serviceHost = '127.0.0.1', servicePort = '0'] = process.argv.slice(2)
const service = { host: serviceHost, port: Number(servicePort) }

function pipe(visitor: Socket): void {
  const local = connect({ ...service, allowHalfOpen: true, noDelay: true }, () => {
    visitor.pipe(local)
    local.pipe(visitor)
  })
  visitor.on('error', () => local.destroy())
  local.on('error', () => visitor.destroy())
}

async function startPipe(): Promise<number> {
  const options = { pauseOnConnect: true, allowHalfOpen: true, noDelay: true }
  const server = createServer(options, pipe)
  await new Promise<void>((resolve) => server.listen({ host, port: 0, backlog: 4096 }, resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const joins = new Set<Join>()

async function startPlane(plane: DataPlane): Promise<number> {
  const wanted = contender === 'stream' ? 'stream' : 'native'
  if (plane.kind !== wanted) throw new Error(`${contender}: the ${plane.kind} data plane runs here`)
  const options = { onEnd: (_: JoinResult, join: Join) => joins.delete(join) }
  const listener = await plane.listen({ host, port: 0 }, {}, (batch) => {
    for (const visitor of batch) joins.add(plane.joinTo(visitor, service, options))
  })
  return listener.address.family === 'unix' ? 0 : listener.address.port
}

function readCounters(): { ms: number; sum: string } {
  const started = performance.now()
  let sum = 0n
  for (const join of joins) {
    const { aToB, bToA } = join.bytes
    sum += aToB + bToA
  }
  return { ms: performance.now() - started, sum: String(sum) }
}

async function start(): Promise<{ port: number; plane?: DataPlane }> {
  if (contender === 'node-pipe') return { port: await startPipe() }
  const plane = createDataPlane(readMode({ MILLRACE_DATAPLANE: contender === 'adaptive' ? 'native' : contender }))
  return { port: await startPlane(plane), plane }
}

const { port, plane } = await start()
process.stdout.write(`${JSON.stringify({ port })}\n`)
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const answer =
      line === 'memory' ? { kib: residentKib() } : line === 'counters' ? readCounters() : { ...plane?.stats() }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  })
  .on('close', () => process.exit(0))
