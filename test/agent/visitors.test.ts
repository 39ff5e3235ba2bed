/** The way of visitors through the agent, against a relay of the test's own hand. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createSecureContext, TLSSocket } from 'node:tls'
import type { AgentOptions, TunnelSpec } from '../../src/agent/options.ts'
import { encodeMessage } from '../../src/wire/codec.ts'
import type { RecordingLogger } from './events.ts'
import type { FakeRelay, Wire } from './fake-relay.ts'
import { certificate, deadPort, startAgent, startRelay, startService, tcpTunnel, tunnelUp } from './setup.ts'

const url = 'tcp://relay.test:20001'
const extended = { extensions: ['ticket', 'close', 'ping2', 'origin'] }

interface Stage {
  readonly relay: FakeRelay
  readonly control: Wire
  readonly log: RecordingLogger
}

async function stage(
  t: TestContext,
  tunnel: TunnelSpec,
  options: Partial<AgentOptions> = {},
  answer: { readonly extensions?: readonly string[] } = extended,
  at = url,
): Promise<Stage> {
  const relay = await startRelay(t)
  const { log, up } = startAgent(t, relay.port, tunnel, options)
  const control = await tunnelUp(relay, at, answer)
  await up
  return { relay, control, log }
}

async function proxy({ relay, control }: Stage, ticket = 'ticket-1'): Promise<Wire> {
  control.send({ type: 'ReqProxy', Tickets: [ticket] })
  const wire = await relay.connections.next()
  assert.equal((await wire.expect('RegProxy')).Ticket, ticket)
  return wire
}

const startProxy = (at = url) => encodeMessage({ type: 'StartProxy', Url: at, ClientAddr: '192.0.2.1:5000' })

describe('visitors of the agent', () => {
  it('are joined with the service, bytes that share a write with StartProxy included', async (t) => {
    const service = await startService(t)
    const at = await stage(t, tcpTunnel(service.port))
    const visitor = await proxy(at)
    visitor.socket.write(Buffer.concat([startProxy(), Buffer.from('hello ')]))
    const served = await service.visitors.next()
    assert.equal(String(await served.bytes(6)), 'hello ')
    visitor.socket.end('service')
    assert.equal(String(await served.rest()), 'service')
    // The other direction is still open: half-close went through.
    served.socket.end('hello visitor')
    assert.equal(String(await visitor.rest()), 'hello visitor')
    const { fields } = await at.log.line('join.end')
    assert.deepEqual(
      { ...fields, durationMs: 0, pathIn: '', pathOut: '' },
      {
        url,
        bytesIn: 13,
        bytesOut: 13,
        pathIn: '',
        pathOut: '',
        splicedIn: 0,
        splicedOut: 0,
        durationMs: 0,
        reason: 'eof',
      },
    )
  })

  it('come without tickets from a 1.x server, and never plain', async (t) => {
    const service = await startService(t)
    const at = await stage(t, tcpTunnel(service.port), { plain: true }, {})
    at.control.send({ type: 'ReqProxy' })
    const visitor = await at.relay.connections.next()
    assert.ok(visitor.socket instanceof TLSSocket)
    const reg = await visitor.expect('RegProxy')
    assert.deepEqual(reg, { type: 'RegProxy', ClientId: 'c'.repeat(32) })
    visitor.socket.write(startProxy())
    visitor.socket.end('x')
    assert.equal(String(await (await service.visitors.next()).rest()), 'x')
  })

  it('come plain where that was negotiated', async (t) => {
    const service = await startService(t)
    const at = await stage(t, tcpTunnel(service.port), { plain: true }, { extensions: ['ticket', 'plain'] })
    const visitor = await proxy(at)
    assert.ok(!(visitor.socket instanceof TLSSocket))
    visitor.socket.write(startProxy())
    visitor.socket.end('plain')
    assert.equal(String(await (await service.visitors.next()).rest()), 'plain')
  })

  it('of tls tunnels come plain by default, and those of others not on the same connections', async (t) => {
    const service = await startService(t)
    const extensions = ['ticket', 'tls', 'passthrough']
    const tunnel: TunnelSpec = { ...tcpTunnel(service.port), protocol: 'tls', hostname: 'a.example' }
    const at = 'tls://a.example:443'
    const stageOf = await stage(t, tunnel, { plain: 'passthrough' }, { extensions }, at)
    const plainProxy = async (): Promise<Wire> => {
      stageOf.control.send({ type: 'ReqProxy', Tickets: ['p'], Plain: true })
      const wire = await stageOf.relay.connections.next()
      assert.ok(!(wire.socket instanceof TLSSocket))
      assert.equal((await wire.expect('RegProxy')).Ticket, 'p')
      return wire
    }
    const visitor = await plainProxy()
    visitor.socket.write(startProxy(at))
    visitor.socket.end('TLS, said to be')
    assert.equal(String(await (await service.visitors.next()).rest()), 'TLS, said to be')
    // What did not ask for plain ones gets none.
    assert.ok((await proxy(stageOf)).socket instanceof TLSSocket)

    const behind: TunnelSpec = { ...tunnel, proxyProtocol: 'v2' }
    for (const [spec, url] of [
      [tcpTunnel(service.port), 'tcp://relay.test:20001'],
      [behind, at],
    ] as const) {
      const other = await stage(t, spec, { plain: 'passthrough' }, { extensions }, url)
      other.control.send({ type: 'ReqProxy', Tickets: ['p'], Plain: true })
      const forged = await other.relay.connections.next()
      await forged.expect('RegProxy')
      forged.socket.write(startProxy(url))
      await other.log.line('proxy.unknown-url')
    }
  })

  it('get one proxy connection per ticket', async (t) => {
    const at = await stage(t, tcpTunnel(1))
    at.control.send({ type: 'ReqProxy', Tickets: ['a', 'b', 'c'] })
    const tickets = new Set<string | undefined>()
    for (let i = 0; i < 3; i++) tickets.add((await (await at.relay.connections.next()).expect('RegProxy')).Ticket)
    assert.deepEqual(tickets, new Set(['a', 'b', 'c']))
  })

  it('do not make the agent open more than its limit', async (t) => {
    const at = await stage(t, tcpTunnel(1), { limits: { waiting: 2 } })
    at.control.send({ type: 'ReqProxy', Tickets: ['a', 'b', 'c', 'd'] })
    await at.log.line('proxy.limit')
    await at.relay.connections.next()
    const second = await at.relay.connections.next()
    await second.expect('RegProxy')
    second.socket.end()
    await second.end()
    await proxy(at, 'e')
    assert.equal(at.log.of('proxy.limit').length, 1)
  })

  it('who never come leave no trace: the relay may close what waits', async (t) => {
    const at = await stage(t, tcpTunnel(1))
    const idle = await proxy(at)
    idle.socket.end()
    await idle.end()
    await at.log.line('proxy.closed')
    assert.equal(at.log.of('proxy.failed').length, 0)
  })

  it('of a TCP tunnel are reset when the service is down', async (t) => {
    const at = await stage(t, tcpTunnel(await deadPort()))
    const visitor = await proxy(at)
    visitor.socket.write(startProxy())
    assert.equal(await visitor.end(), 'reset')
    assert.match(String((await at.log.line('local.down')).fields['error']), /ECONNREFUSED/)
  })

  it('count as joins only once the service has answered', async (t) => {
    const relay = await startRelay(t)
    const { agent, log } = startAgent(t, relay.port, tcpTunnel(await deadPort()))
    const control = await tunnelUp(relay, url, extended)
    const visitor = await proxy({ relay, control, log })
    visitor.socket.write(startProxy())
    await visitor.end()
    await log.line('local.down')
    assert.deepEqual([agent.status.openJoins, agent.status.totalJoins], [0, 0])
    assert.equal(log.of('join.end').length, 0)
  })

  it('of a web tunnel are told when the service is down', async (t) => {
    const port = await deadPort()
    const web: TunnelSpec = { ...tcpTunnel(port), protocol: 'http' }
    const at = await stage(t, web, {}, extended, 'http://a.relay.test')
    const visitor = await proxy(at)
    visitor.socket.write(startProxy('http://a.relay.test'))
    visitor.socket.write('GET / HTTP/1.1\r\nHost: a.relay.test\r\n\r\n')
    const answer = String(await visitor.rest())
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    assert.match(head, /^HTTP\/1\.1 502 /)
    assert.equal(Number(/^content-length: (\d+)$/im.exec(head)?.[1]), Buffer.byteLength(body))
    assert.ok(!head.replaceAll('\r\n', '').includes('\n'))
    assert.match(body, new RegExp(`127\\.0\\.0\\.1:${port}`))
  })

  it('of a URL that is not up are reset', async (t) => {
    const at = await stage(t, tcpTunnel(1))
    const visitor = await proxy(at)
    visitor.socket.write(startProxy('tcp://elsewhere:1'))
    assert.equal(await visitor.end(), 'reset')
    await at.log.line('proxy.unknown-url')
  })

  it('stay when the control connection is lost; what waits is closed', async (t) => {
    const service = await startService(t)
    const at = await stage(t, tcpTunnel(service.port))
    const visitor = await proxy(at)
    visitor.socket.write(startProxy())
    const served = await service.visitors.next()
    const idle = await proxy(at, 'ticket-2')
    at.control.socket.destroy()
    await idle.end()
    visitor.socket.end('still here')
    assert.equal(String(await served.rest()), 'still here')
  })

  it('reach a service on a unix socket', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-'))
    t.after(() => rm(folder, { recursive: true }))
    const path = join(folder, 'service.sock')
    const service = await startService(t, path)
    const at = await stage(t, { ...tcpTunnel(1), target: { kind: 'unix', path } })
    const visitor = await proxy(at)
    visitor.socket.write(startProxy())
    visitor.socket.end('unix')
    assert.equal(String(await (await service.visitors.next()).rest()), 'unix')
  })

  for (const trusted of [true, false]) {
    it(`reach an https service ${trusted ? 'that the CA vouches for' : 'only if it is trusted'}`, async (t) => {
      const secureContext = createSecureContext(certificate)
      const service = await startService(
        t,
        undefined,
        (socket) => new TLSSocket(socket, { isServer: true, secureContext }),
      )
      const at = await stage(t, {
        protocol: 'tcp',
        target: { kind: 'tls', host: 'localhost', port: service.port },
        targetTrust: trusted ? { kind: 'ca', pem: certificate.cert } : { kind: 'system' },
      })
      const visitor = await proxy(at)
      visitor.socket.write(Buffer.concat([startProxy(), Buffer.from('secret')]))
      if (trusted) {
        assert.equal(String(await (await service.visitors.next()).bytes(6)), 'secret')
      } else {
        assert.equal(await visitor.end(), 'reset')
        await at.log.line('local.down')
      }
    })
  }

  it('are aborted when the agent stops, after the grace', async (t) => {
    const service = await startService(t)
    const relay = await startRelay(t)
    const { agent, log } = startAgent(t, relay.port, tcpTunnel(service.port))
    const control = await tunnelUp(relay, url, extended)
    const at = { relay, control, log }
    const staying = await proxy(at, 'a')
    staying.socket.write(startProxy())
    const served = await service.visitors.next()
    staying.socket.write('joined')
    await served.bytes(6)
    await agent.stop(50)
    assert.equal(await staying.end(), 'reset')
    await served.end()
    assert.equal((await log.line('join.end')).fields['reason'], 'aborted')
  })

  it('who finish within the grace are not cut', async (t) => {
    const service = await startService(t)
    const relay = await startRelay(t)
    const { agent, log } = startAgent(t, relay.port, tcpTunnel(service.port))
    const control = await tunnelUp(relay, url, extended)
    const visitor = await proxy({ relay, control, log })
    visitor.socket.write(startProxy())
    const served = await service.visitors.next()
    const stopped = agent.stop(20_000)
    visitor.socket.end('done')
    assert.equal(String(await served.rest()), 'done')
    served.socket.end()
    await stopped
    assert.equal((await log.line('join.end')).fields['reason'], 'eof')
  })
})
