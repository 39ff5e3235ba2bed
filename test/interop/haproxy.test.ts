/**
 * HAProxy, whose protocol it is, on both ends: as the balancer before the relay, and as the service behind the agent. What
 * the service takes the visitor for has then been through everything.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Agent } from '../../src/agent/agent.ts'
import { createDataPlane } from '../../src/dataplane/create.ts'
import type { ProxyProtocolVersion } from '../../src/net/proxy-protocol-header.ts'
import { RecordingLogger, within } from '../agent/events.ts'
import { RelayBed, token } from '../relay/relay-bed.ts'

const missing = spawnSync('haproxy', ['-v']).status === 0 ? '' : 'there is no haproxy on PATH'
if (missing !== '') assert.notEqual(process.env['CI'], 'true', missing)

/** A listening socket that HAProxy inherits, so that nobody has to guess a free port. */
async function listening(): Promise<{ readonly server: Server; readonly port: number; readonly fd: number }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { fd } = Reflect.get(server, '_handle') as { readonly fd: number }
  return { server, port: (server.address() as AddressInfo).port, fd }
}

const balancerFd = 3
const serviceFd = 4

function config(send: string, relayPort: number): string {
  return `defaults
  timeout connect 10s
  timeout client 60s
  timeout server 60s
listen balancer
  mode tcp
  bind fd@${balancerFd}
  server relay 127.0.0.1:${relayPort} ${send}
frontend service
  mode http
  bind fd@${serviceFd} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] to %[dst_port]"
`
}

/** A visitor's request to a port, from an address of its own; resolves with the answer and where it was sent from. */
async function ask(t: TestContext, port: number): Promise<{ readonly answer: string; readonly from: string }> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' })
  t.after(() => socket.destroy())
  await within(once(socket, 'connect'), 'a connection to HAProxy')
  const from = `127.0.0.9:${socket.localPort}`
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text
  })
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
  await within(once(socket, 'end'), 'the end of the answer')
  return { answer, from }
}

async function chain(t: TestContext, send: string, proxyProtocol: ProxyProtocolVersion): Promise<void> {
  const bed = await RelayBed.start(t, { proxyProtocolFrom: ['127.0.0.1'] })
  const balancer = await listening()
  const service = await listening()
  const agent = new Agent({
    dataPlane: createDataPlane(),
    log: new RecordingLogger(),
    relay: { host: '127.0.0.1', port: bed.port('tunnel') },
    trust: { kind: 'none' },
    token,
    plain: false,
    tunnels: [
      {
        protocol: 'tcp',
        target: { kind: 'tcp', host: '127.0.0.1', port: service.port },
        targetTrust: { kind: 'none' },
        proxyProtocol,
      },
    ],
  })
  t.after(() => agent.stop())
  const [url = ''] = await within(agent.start(), 'the tunnel')
  const folder = await mkdtemp(join(tmpdir(), 'millrace-haproxy-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'haproxy.cfg')
  await writeFile(file, config(send, Number(new URL(url).port)))
  const haproxy = spawn('haproxy', ['-db', '-q', '-f', file], {
    stdio: ['ignore', 'ignore', 'inherit', balancer.fd, service.fd],
  })
  const gone = once(haproxy, 'close')
  t.after(async () => {
    haproxy.kill('SIGKILL')
    await gone
  })
  balancer.server.close()
  service.server.close()
  const { answer, from } = await ask(t, balancer.port)
  assert.match(answer, /^HTTP\/1\.1 200 /)
  assert.equal(answer.slice(answer.indexOf('\r\n\r\n') + 4), `${from} to ${balancer.port}`)
}

describe('the PROXY protocol with HAProxy', { skip: missing === '' ? false : missing }, () => {
  for (const send of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options unique-id,crc32c']) {
    for (const version of ['v1', 'v2'] as const) {
      it(`takes the visitor through: ${send} to the relay, ${version} to the service`, (t) => chain(t, send, version))
    }
  }
})
