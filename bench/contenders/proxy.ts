/**
 * A TCP proxy on Node, in a process of its own: `node-pipe` is `a.pipe(b)`; `stream`, `copy`, `splice` and `adaptive`
 * are our data planes. argv: contender, address to listen at, service's address, service's port, and where there is TLS
 * a `Secured` as JSON.
 *
 * Prints `{port}`. Answers a line of standard input with a line of JSON: `memory` (after forced collections), `counters`
 * (what reading all of them costs), anything else: statistics.
 */
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { createDataPlane } from '../../src/dataplane/create.ts'
import { readMode } from '../../src/dataplane/mode.ts'
import type { DataPlane, Endpoint, Join, JoinResult, TlsOptions } from '../../src/dataplane/types.ts'
import { MillraceError } from '../../src/errors.ts'
import type { Secured } from '../lib/contender.ts'
import { residentKib } from '../lib/memory.ts'

const [contender = '', host = '127.0.0.1', serviceHost = '127.0.0.1', servicePort = '0', tls] = process.argv.slice(2)
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
const options = { onEnd: (_: JoinResult, join: Join) => joins.delete(join) }

/** A visitor that fails is its own loss: those of a load are cut off when its time is over. */
function ignoreVisitor(error: unknown): void {
  if (!(error instanceof MillraceError)) throw error
}

/** What becomes of a visitor where there is TLS. */
function carrySecurely(plane: DataPlane, { visitor, service: behind, certificate, key }: Secured) {
  const cert = readFileSync(certificate, 'utf8')
  const server: TlsOptions = { role: 'server', cert, key: readFileSync(key, 'utf8') }
  const client: TlsOptions = { role: 'client', serverName: 'localhost', trust: { kind: 'ca', pem: cert } }
  return async (plain: Endpoint): Promise<void> => {
    const secured = visitor ? await plane.secure(plain, server) : plain
    if (!behind) {
      joins.add(plane.joinTo(secured, service, options))
      return
    }
    const local = await plane.secure(await plane.dial(service), client)
    joins.add(plane.join(secured, local, options))
  }
}

async function startPlane(plane: DataPlane): Promise<number> {
  const wanted = contender === 'stream' ? 'stream' : 'native'
  if (plane.kind !== wanted) throw new Error(`${contender}: the ${plane.kind} data plane runs here`)
  const secured = tls === undefined ? undefined : carrySecurely(plane, JSON.parse(tls))
  const listener = await plane.listen({ host, port: 0 }, {}, (batch) => {
    if (secured === undefined) for (const visitor of batch) joins.add(plane.joinTo(visitor, service, options))
    else for (const visitor of batch) secured(visitor).catch(ignoreVisitor)
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
