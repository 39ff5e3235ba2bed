import { randomInt } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { Agent } from '../../src/agent/agent.ts'
import { type AgentOptions, defaultTimings, type TunnelSpec } from '../../src/agent/options.ts'
import { createDataPlane } from '../../src/dataplane/create.ts'
import { makeCertificate, type TestCertificate } from '../dataplane/certificate.ts'
import { Mailbox, RecordingLogger, within } from './events.ts'
import { FakeRelay, Wire } from './fake-relay.ts'

/** One certificate for a whole test file. */
export const certificate: TestCertificate = await makeCertificate(['localhost', '127.0.0.1', '::1'])

/** One data plane for a whole test file, of the mode that MILLRACE_DATAPLANE names. */
export const dataPlane = createDataPlane()

/** A local service that hands every connection to the test. */
export interface Service {
  readonly port: number
  readonly visitors: Mailbox<Wire>
}

/** Starts a service on a free port, or on a unix path; it ends with the test. */
export async function startService(
  t: TestContext,
  path?: string,
  onSocket?: (socket: Socket) => Socket,
): Promise<Service> {
  const visitors = new Mailbox<Wire>('a visitor')
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    visitors.put(new Wire(onSocket === undefined ? socket : onSocket(socket)))
  })
  await listen(server, path)
  t.after(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  })
  const address = server.address() as AddressInfo | string
  return { port: typeof address === 'string' ? 0 : address.port, visitors }
}

/** Starts a service that sends back what it gets, and returns its port; it ends with the test. */
export async function startEcho(t: TestContext): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  await listen(server)
  t.after(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  })
  return (server.address() as AddressInfo).port
}

/**
 * A port that was free a moment ago. It lies below those that Linux, macOS and Windows give out by themselves, so that
 * no listener on port 0 and no outgoing connection takes it meanwhile.
 */
export async function deadPort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000)
    const server = createServer()
    try {
      await new Promise<void>((resolve, reject) => {
        server.on('error', reject)
        server.listen(port, resolve)
      })
    } catch {
      continue
    }
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}

/** Connects to a port of this host. */
export async function dialPort(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await within(new Promise((resolve) => socket.once('connect', resolve)), `a connection to ${port}`)
  return socket
}

/** A relay of the test's own hand that ends with the test. */
export async function startRelay(t: TestContext, port = 0, presents = certificate): Promise<FakeRelay> {
  const relay = await FakeRelay.listen(presents, port)
  t.after(() => relay.close())
  return relay
}

/** A TCP tunnel to a port of this host. */
export function tcpTunnel(port: number): TunnelSpec {
  return { protocol: 'tcp', target: { kind: 'tcp', host: '127.0.0.1', port }, targetTrust: { kind: 'none' } }
}

/** An agent with short waits, and its log. It ends with the test. */
export function startAgent(
  t: TestContext,
  relayPort: number,
  tunnel: TunnelSpec,
  options: Partial<AgentOptions> = {},
): { readonly agent: Agent; readonly log: RecordingLogger; readonly up: Promise<readonly string[]> } {
  const log = new RecordingLogger()
  const agent = new Agent({
    dataPlane,
    log,
    relay: { host: '127.0.0.1', port: relayPort },
    trust: { kind: 'ca', pem: certificate.cert },
    token: 'the-token',
    plain: false,
    tunnels: [tunnel],
    ...options,
    timings: { ...defaultTimings, backoff: { minMs: 10, maxMs: 50 }, ...options.timings },
  })
  t.after(() => agent.stop())
  const up = agent.start()
  up.catch(() => undefined)
  return { agent, log, up }
}

/** The agent's next control connection, with its only tunnel up at `url`. */
export async function tunnelUp(
  relay: FakeRelay,
  url: string,
  answer: { readonly extensions?: readonly string[]; readonly clientId?: string } = {},
): Promise<Wire> {
  const control = await relay.control(answer)
  const request = await control.expect('ReqTunnel')
  control.send({
    type: 'NewTunnel',
    ReqId: request.ReqId,
    Url: url,
    Protocol: url.split(':', 1)[0] ?? '',
    Error: '',
  })
  return control
}

async function listen(server: Server, path?: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    if (path === undefined) server.listen(0, '127.0.0.1', resolve)
    else server.listen(path, resolve)
  })
}
