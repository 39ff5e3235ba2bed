/** Visitors on lanes, from a relay of the test's own hand. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { TLSSocket } from 'node:tls'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions, TunnelSpec } from '../../src/agent/options.ts'
import type { StartProxy } from '../../src/wire/messages.ts'
import type { RecordingLogger } from './events.ts'
import type { FakeRelay, Wire } from './fake-relay.ts'
import { RelayLane } from './relay-lane.ts'
import { deadPort, startAgent, startEcho, startRelay, startService, tcpTunnel, tunnelUp } from './setup.ts'

const url = 'tcp://relay.test:20001'
const extended = ['ticket', 'close', 'ping2', 'origin', 'drain', 'lane']

interface Stage {
  readonly relay: FakeRelay
  readonly control: Wire
  readonly agent: Agent
  readonly log: RecordingLogger
}

async function stage(
  t: TestContext,
  tunnel: TunnelSpec,
  options: Partial<AgentOptions> = {},
  extensions: readonly string[] = extended,
  at = url,
): Promise<Stage> {
  const relay = await startRelay(t)
  const { agent, log, up } = startAgent(t, relay.port, tunnel, options)
  const control = await tunnelUp(relay, at, { extensions })
  await up
  return { relay, control, agent, log }
}

async function proxy({ relay, control }: Stage, ticket = 'ticket-1', plain = false): Promise<Wire> {
  control.send({ type: 'ReqProxy', Tickets: [ticket], ...(plain ? { Plain: true } : {}) })
  const wire = await relay.connections.next()
  assert.equal((await wire.expect('RegProxy')).Ticket, ticket)
  return wire
}

const lane = async (at: Stage, ticket?: string, plain?: boolean): Promise<RelayLane> =>
  new RelayLane(await proxy(at, ticket, plain))

const start = (at = url): StartProxy => ({ type: 'StartProxy', Url: at, ClientAddr: '192.0.2.1:5000' })

/** A whole visit to a service that says everything again. */
async function visit(on: RelayLane, name: string, at = url): Promise<void> {
  on.open(start(at))
  on.write(name)
  on.end()
  assert.equal(await on.rest(), name)
  assert(on.free)
}

describe('an agent and the extension lane', () => {
  for (const { what, options = {}, extensions = extended, offers = true, uses } of [
    { what: 'offers and uses it', uses: true },
    {
      what: 'does not offer it when told so',
      options: { lanes: false },
      offers: false,
      extensions: ['ticket'],
      uses: false,
    },
    { what: 'does without it at a relay that lacks it', extensions: ['ticket'], uses: false },
    { what: 'does without it where there are no tickets', extensions: ['lane'], uses: false },
  ]) {
    it(what, async (t) => {
      const relay = await startRelay(t)
      const { up } = startAgent(t, relay.port, tcpTunnel(await startEcho(t)), options)
      const control = await relay.connections.next()
      const auth = await control.expect('Auth')
      assert.equal(auth.Extensions?.includes('lane'), offers)
      control.send({
        type: 'AuthResp',
        Version: '2',
        MmVersion: '1.7',
        ClientId: 'c'.repeat(32),
        Error: '',
        Extensions: extensions,
      })
      const { ReqId } = await control.expect('ReqTunnel')
      control.send({ type: 'NewTunnel', ReqId, Url: url, Protocol: 'tcp', Error: '' })
      await up
      control.send({ type: 'ReqProxy', ...(extensions.includes('ticket') ? { Tickets: ['a'] } : {}) })
      const wire = await relay.connections.next()
      await wire.expect('RegProxy')
      if (uses) return await visit(new RelayLane(wire), 'hello')
      wire.send(start())
      wire.socket.end('hello')
      assert.equal(String(await wire.rest()), 'hello')
    })
  }
})

describe('an agent’s visitors on lanes', () => {
  it('come one after another on one connection', async (t) => {
    const at = await stage(t, tcpTunnel(await startEcho(t)))
    const on = await lane(at)
    for (let i = 0; i < 300; i++) await visit(on, `visitor ${i}`)
    assert.equal(at.relay.connections.waiting, 0)
    // The last one's end is told of when the visitor knows it already.
    assert(at.log.of('join.end').length >= 299)
  })

  it('of a URL that is not up are reset, and the lane goes on', async (t) => {
    const at = await stage(t, tcpTunnel(await startEcho(t)))
    const on = await lane(at)
    on.open(start('tcp://elsewhere:1'))
    assert.equal(await on.wasReset(), 'given-up')
    await at.log.line('proxy.unknown-url')
    await visit(on, 'the next')
  })

  it('whose start is malformed are the end of their lane', async (t) => {
    const at = await stage(t, tcpTunnel(await startEcho(t)))
    let failures = 0
    for (const [bad, says] of [
      [Buffer.from('no JSON'), /not valid JSON/],
      [Buffer.from([0xff, 0xfe]), /UTF-8/],
      [Buffer.from('{"Type":"StartProxy","Payload":{"Url":1,"ClientAddr":""}}'), /StartProxy\.Url/],
      [Buffer.from('{"Type":"Ping","Payload":{}}'), /Ping for StartProxy/],
      [Buffer.from('{"Type":"Surprise","Payload":{}}'), /unknown for StartProxy/],
    ] as const) {
      const on = await lane(at)
      on.open(bad)
      await on.closed()
      failures++
      assert.match(String((await at.log.line('proxy.failed', failures)).fields['reason']), says)
    }
    await visit(await lane(at), 'another lane')
  })

  it('of a TCP tunnel are reset when the service is down; those of a web tunnel are told', async (t) => {
    const down = tcpTunnel(await deadPort())
    const raw = await stage(t, down)
    const onRaw = await lane(raw)
    for (let i = 0; i < 3; i++) {
      onRaw.open(start())
      assert.equal(await onRaw.wasReset(), 'unreachable')
    }
    const at = 'http://a.relay.test'
    const web = await stage(t, { ...down, protocol: 'http' }, {}, extended, at)
    const onWeb = await lane(web)
    for (let i = 0; i < 3; i++) {
      onWeb.open(start(at))
      onWeb.write('GET / HTTP/1.1\r\nHost: a.relay.test\r\n\r\n')
      onWeb.end()
      assert.match(await onWeb.rest(), /^HTTP\/1\.1 502 /)
    }
  })

  it('leave room for more lanes while they are there', async (t) => {
    const service = await startService(t)
    const at = await stage(t, tcpTunnel(service.port), { limits: { waiting: 2 } })
    const busy = [await lane(at, 'a'), await lane(at, 'b')]
    for (const on of busy) {
      on.open(start())
      await service.visitors.next()
    }
    const idle = [await lane(at, 'c'), await lane(at, 'd')]
    at.control.send({ type: 'ReqProxy', Tickets: ['e'] })
    await at.log.line('proxy.limit')
    for (const on of idle) on.open(start())
    for (const _ of idle) await service.visitors.next()
    await lane(at, 'f')
  })

  it('stay when the control connection is lost; idle lanes go at once, the others with their visitors', async (t) => {
    const service = await startService(t)
    const at = await stage(t, tcpTunnel(service.port))
    const busy = await lane(at, 'a')
    busy.open(start())
    const served = await service.visitors.next()
    const idle = await lane(at, 'b')
    at.control.socket.destroy()
    assert.equal(await idle.closed(), 'fin')
    busy.write('still here')
    busy.end()
    assert.equal(String(await served.rest()), 'still here')
    served.socket.end('so am I')
    assert.equal(await busy.rest(), 'so am I')
    assert.equal(await busy.closed(), 'fin')
  })

  it('are still served where the relay drains', async (t) => {
    const at = await stage(t, tcpTunnel(await startEcho(t)))
    const idle = await lane(at)
    at.control.send({ type: 'Drain', Reason: 'x' })
    await at.log.line('agent.disconnected')
    await visit(idle, 'one who was on the way')
  })

  it('are cut when the agent stops', async (t) => {
    const service = await startService(t)
    const at = await stage(t, tcpTunnel(service.port))
    const [busy, idle] = [await lane(at, 'a'), await lane(at, 'b')]
    busy.open(start())
    await service.visitors.next()
    await at.agent.stop()
    await Promise.all([busy.closed(), idle.closed()])
  })

  it('of tls tunnels come on plain lanes, and no others do', async (t) => {
    const extensions = [...extended, 'tls', 'passthrough']
    const tls = 'tls://a.example:443'
    const tunnel: TunnelSpec = { ...tcpTunnel(await startEcho(t)), protocol: 'tls', hostname: 'a.example' }
    const at = await stage(t, tunnel, { plain: 'passthrough' }, extensions, tls)
    const wire = await proxy(at, 'p', true)
    assert(!(wire.socket instanceof TLSSocket))
    const on = new RelayLane(wire)
    for (let i = 0; i < 3; i++) await visit(on, `${i}`, tls)
    const other = await stage(t, tcpTunnel(await startEcho(t)), { plain: 'passthrough' }, extensions)
    const forged = await lane(other, 'p', true)
    forged.open(start())
    assert.equal(await forged.wasReset(), 'given-up')
    await other.log.line('proxy.unknown-url')
  })
})
