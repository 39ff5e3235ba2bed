/** What services are told of visitors by the PROXY protocol, and how the agent reaches services. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createSecureContext, TLSSocket } from 'node:tls'
import type { TunnelSpec } from '../../src/agent/options.ts'
import { originHeader } from '../../src/agent/visitor-origin.ts'
import type { StartProxy } from '../../src/wire/messages.ts'
import { Mailbox } from './events.ts'
import { Wire } from './fake-relay.ts'
import { certificate, startAgent, startRelay, startService, tcpTunnel, tunnelUp } from './setup.ts'

const url = 'tcp://relay.test:20001'
const visitor = { ClientAddr: '192.0.2.7:50000', ServerAddr: '198.51.100.1:20001' }
const v1 = 'PROXY TCP4 192.0.2.7 198.51.100.1 50000 20001\r\n'
const v2 = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000207c6336401c3504e21', 'hex')

/** Sends one visitor, who says `hello` in the same write as StartProxy, to the tunnel's service. */
async function visit(t: TestContext, tunnel: TunnelSpec, fields: Partial<StartProxy>, at = url): Promise<Wire> {
  const relay = await startRelay(t)
  const { up, agent } = startAgent(t, relay.port, tunnel)
  const control = await tunnelUp(relay, at, { extensions: ['ticket', 'origin'] })
  await up
  assert.equal(agent.status.tunnels.length, 1)
  control.send({ type: 'ReqProxy', Tickets: ['ticket-1'] })
  const proxy = await relay.connections.next()
  await proxy.expect('RegProxy')
  proxy.send({ type: 'StartProxy', Url: at, ClientAddr: '', ...fields })
  proxy.socket.write('hello')
  return proxy
}

describe('the PROXY protocol towards services', () => {
  it('puts a line before the bytes of a TCP visitor', async (t) => {
    const service = await startService(t)
    const proxy = await visit(t, { ...tcpTunnel(service.port), proxyProtocol: 'v1' }, visitor)
    const served = await service.visitors.next()
    assert.equal(String(await served.bytes(v1.length + 5)), `${v1}hello`)
    served.socket.end('answer')
    assert.equal(String(await proxy.rest()), 'answer')
  })

  it('is binary in version 2, also on a unix socket', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-'))
    t.after(() => rm(folder, { recursive: true }))
    const path = join(folder, 'service.sock')
    const service = await startService(t, path)
    const tunnel = { ...tcpTunnel(0), target: { kind: 'unix', path }, proxyProtocol: 'v2' } as const
    await visit(t, tunnel, visitor)
    const served = await service.visitors.next()
    assert.deepEqual(await served.bytes(v2.length + 5), Buffer.concat([v2, Buffer.from('hello')]))
  })

  it('comes before the TLS of an https:// target', async (t) => {
    const secureContext = createSecureContext(certificate)
    const secured = new Mailbox<{ readonly header: Buffer; readonly plain: Wire }>('a TLS session')
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('readable', function take() {
        const header = socket.read(v1.length) as Buffer | null
        if (header === null) return
        socket.off('readable', take)
        secured.put({ header, plain: new Wire(new TLSSocket(socket, { isServer: true, secureContext })) })
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const tunnel = {
      protocol: 'tcp',
      target: { kind: 'tls', host: 'localhost', port: (server.address() as AddressInfo).port },
      targetTrust: { kind: 'ca', pem: certificate.cert },
      proxyProtocol: 'v1',
    } as const
    await visit(t, tunnel, visitor)
    const { header, plain } = await secured.next()
    assert.equal(String(header), v1)
    assert.equal(String(await plain.bytes(5)), 'hello')
  })

  it('is before the head of an HTTP visitor, and not sent where nobody asked for it', async (t) => {
    const service = await startService(t)
    const tunnel = { ...tcpTunnel(service.port), protocol: 'http', proxyProtocol: 'v1' } as const
    await visit(t, tunnel, { ...visitor, ServerAddr: '198.51.100.1:80' }, 'http://a.relay.test')
    const line = 'PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\n'
    assert.equal(String(await (await service.visitors.next()).bytes(line.length + 5)), `${line}hello`)
    await visit(t, tcpTunnel(service.port), visitor)
    assert.equal(String(await (await service.visitors.next()).bytes(5)), 'hello')
  })
})

describe('what a visitor is taken for', () => {
  const header = (fields: Partial<StartProxy>): string =>
    String(originHeader('v1', { type: 'StartProxy', Url: url, ClientAddr: '', ...fields }))

  it('is what the relay says', () => {
    assert.equal(header(visitor), v1)
    const six = { ClientAddr: '[2001:db8::7]:5', ServerAddr: '[2001:db8::1]:6' }
    assert.equal(header(six), 'PROXY TCP6 2001:db8::7 2001:db8::1 5 6\r\n')
  })

  it("has the tunnel's port where a 1.x relay does not say where the visitor came in", () => {
    assert.equal(header({ ClientAddr: '192.0.2.7:5' }), 'PROXY TCP4 192.0.2.7 0.0.0.0 5 20001\r\n')
    const https = { ClientAddr: '[::1]:5', Url: 'https://a.test' }
    assert.equal(header(https), 'PROXY TCP6 ::1 :: 5 443\r\n')
    assert.equal(header({ ClientAddr: '192.0.2.7:5', Url: '?' }), 'PROXY TCP4 192.0.2.7 0.0.0.0 5 0\r\n')
  })

  it('is unknown when the relay says nothing that makes sense', () => {
    for (const ClientAddr of ['', 'unix:/x', '@', 'host:1', '1.2.3.4', '1.2.3.4:99999', '1.1.1.1:1\r\nPROXY TCP4']) {
      assert.equal(header({ ClientAddr }), 'PROXY UNKNOWN\r\n', ClientAddr)
    }
  })
})

describe('an https:// target', () => {
  it('that is not verified is said to be so on the status screen', async (t) => {
    const relay = await startRelay(t)
    const target = { kind: 'tls', host: '::1', port: 8443 } as const
    for (const [trust, text] of [
      ['none', 'https://[::1]:8443 (certificate NOT verified)'],
      ['system', 'https://[::1]:8443'],
    ] as const) {
      const { agent, up } = startAgent(t, relay.port, { protocol: 'tcp', target, targetTrust: { kind: trust } })
      await tunnelUp(relay, url)
      await up
      assert.equal(agent.status.tunnels[0]?.target, text)
      await agent.stop()
    }
  })
})
