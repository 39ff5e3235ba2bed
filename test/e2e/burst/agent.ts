/**
 * An agent in a process of its own: ours, or one that speaks ngrok 1.x. Its service echoes a line, or answers HTTP. All the
 * while it pings its relay ten times a second, and it tells what became of that.
 */
import { createServer, type Socket } from 'node:net'
import { Agent } from '../../../src/agent/agent.ts'
import { defaultTimings } from '../../../src/agent/options.ts'
import { createDataPlane } from '../../../src/dataplane/create.ts'
import { silentLogger } from '../../../src/observe/log.ts'
import { TestAgent } from '../../relay/test-agent.ts'

/** What the process is told in its argument, as JSON. */
export interface AgentOrder {
  readonly kind: 'ours' | '1.x'
  readonly port: number
  readonly token: string
  readonly protocol: 'tcp' | 'http'
}

/** What it says: its tunnel's URL at first, then on every message the heartbeats since the last one. */
export type AgentNews =
  | { readonly url: string }
  | {
      readonly pings: number
      /** The slowest answer, and the longest time without one, ms. */
      readonly slowestMs: number
      readonly longestGapMs: number
      /** TLS handshakes of proxy and control connections, and those with the keys of an earlier one. */
      readonly handshakes: number
      readonly resumed: number
    }

const pingMs = 100

let pings = 0
let slowestMs = 0
let longestGapMs = 0
let last = performance.now()
let handshakes = (): { done: number; resumed: number } => ({ done: 0, resumed: 0 })

function answered(rttMs: number): void {
  const now = performance.now()
  pings++
  slowestMs = Math.max(slowestMs, rttMs)
  longestGapMs = Math.max(longestGapMs, now - last)
  last = now
}

function tell(news: AgentNews): void {
  process.send?.(news)
}

/** Sends back what comes, or answers every head. */
function serve(socket: Socket, protocol: 'tcp' | 'http'): void {
  socket.on('error', () => undefined)
  if (protocol === 'tcp') {
    socket.pipe(socket)
    return
  }
  socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'))
  // A socket that was paused stays so whoever listens.
  socket.resume()
}

async function ours({ port, token, protocol }: AgentOrder): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, protocol))
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve))
  const bound = server.address()
  const dataPlane = createDataPlane()
  const agent = new Agent({
    dataPlane,
    log: silentLogger,
    relay: { host: '127.0.0.1', port },
    trust: { kind: 'none' },
    token,
    plain: false,
    tunnels: [
      {
        protocol,
        target: { kind: 'tcp', host: '127.0.0.1', port: typeof bound === 'object' && bound !== null ? bound.port : 0 },
        targetTrust: { kind: 'none' },
        ...(protocol === 'http' ? { subdomain: 'burst' } : {}),
      },
    ],
    timings: { heartbeat2: { ...defaultTimings.heartbeat2, intervalMs: pingMs } },
    onStatus: ({ rttMs }) => {
      // Told at every change: a new answer has a new time.
      if (rttMs !== undefined && rttMs !== lastRtt) answered(rttMs)
      lastRtt = rttMs
    },
  })
  let lastRtt: number | undefined
  handshakes = () => dataPlane.stats().total.handshakes
  const [url = ''] = await agent.start()
  tell({ url })
}

async function of1x({ port, token, protocol }: AgentOrder): Promise<void> {
  const agent = await TestAgent.connect(port, { token })
  const answer = await agent.ask({ Protocol: protocol, ...(protocol === 'http' ? { Subdomain: 'burst' } : {}) })
  tell({ url: answer.Url })
  const visitor = async (): Promise<void> => {
    const proxy = await agent.openProxy()
    await proxy.next('StartProxy')
    proxy.socket.removeAllListeners('data')
    proxy.socket.pause()
    if (proxy.unread.length > 0) proxy.socket.unshift(proxy.unread)
    serve(proxy.socket, protocol)
  }
  const visitors = async (): Promise<void> => {
    for (;;) {
      await agent.control.next('ReqProxy')
      visitor().catch(() => undefined)
    }
  }
  visitors().catch(() => process.exit(1))
  setInterval(() => {
    const sent = performance.now()
    agent.control.send1x({ type: 'Ping' })
    agent.control.next('Pong').then(
      () => answered(performance.now() - sent),
      () => process.exit(1),
    )
  }, pingMs)
}

process.on('message', () => {
  const { done, resumed } = handshakes()
  tell({ pings, slowestMs, longestGapMs, handshakes: done, resumed })
  ;[pings, slowestMs, longestGapMs, last] = [0, 0, 0, performance.now()]
})
process.on('disconnect', () => process.exit())
const order = JSON.parse(process.argv[2] ?? '') as AgentOrder
await (order.kind === 'ours' ? ours(order) : of1x(order))
