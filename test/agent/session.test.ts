/** The agent's control connection, against a relay of the test's own hand. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultTimings } from '../../src/agent/options.ts'
import { makeCertificate } from '../dataplane/certificate.ts'
import { header } from '../wire/frames.ts'
import { deadPort, startAgent, startEcho, startRelay, tcpTunnel, tunnelUp } from './setup.ts'

const url = 'tcp://relay.test:20001'
const extended = { extensions: ['ticket', 'close', 'drain', 'ping2', 'origin'] }

describe('a session of the agent', () => {
  it('authenticates, asks for its tunnel and says that it is up', async (t) => {
    const relay = await startRelay(t)
    const { agent, log, up } = startAgent(t, relay.port, tcpTunnel(1))
    const control = await relay.connections.next()
    const auth = await control.expect('Auth')
    assert.deepEqual(
      { ...auth, OS: '', Arch: '' },
      {
        type: 'Auth',
        Version: '2',
        MmVersion: '1.7',
        User: 'the-token',
        Password: '',
        OS: '',
        Arch: '',
        ClientId: '',
        Extensions: ['ticket', 'close', 'drain', 'ping2', 'tls', 'origin', 'terminate', 'access', 'lane'],
      },
    )
    control.send({ type: 'AuthResp', Version: '2', MmVersion: '1.7', ClientId: 'id', Error: '', Extensions: [] })
    const request = await control.expect('ReqTunnel')
    assert.equal(request.Protocol, 'tcp')
    control.send({ type: 'NewTunnel', ReqId: request.ReqId, Url: url, Protocol: 'tcp', Error: '' })
    assert.deepEqual(await up, [url])
    assert.equal((await log.line('tunnel.up')).fields['url'], url)
    assert.equal(log.of('agent.connected').length, 1)
    assert.equal(agent.status.state, 'online')
  })

  it('offers plain only when told to', async (t) => {
    const relay = await startRelay(t)
    startAgent(t, relay.port, tcpTunnel(1), { plain: true })
    const control = await relay.connections.next()
    assert.ok((await control.expect('Auth')).Extensions?.includes('plain'))
  })

  it('ends with the sentence of a relay that refuses it', async (t) => {
    const relay = await startRelay(t)
    const { agent, up } = startAgent(t, relay.port, tcpTunnel(1))
    const control = await relay.connections.next()
    await control.expect('Auth')
    control.send({ type: 'AuthResp', Version: '2', MmVersion: '1.7', ClientId: '', Error: 'unknown token' })
    await assert.rejects(up, { code: 'ERR_AGENT_REFUSED', message: 'the relay refused: unknown token' })
    assert.equal((await agent.ended)?.code, 'ERR_AGENT_REFUSED')
  })

  it('ends when its tunnel is refused at the first start', async (t) => {
    const relay = await startRelay(t)
    const { up } = startAgent(t, relay.port, tcpTunnel(1))
    const control = await relay.control(extended)
    await control.expect('ReqTunnel')
    control.send({ type: 'NewTunnel', ReqId: '', Url: '', Protocol: '', Error: 'the port is taken' })
    await assert.rejects(up, { code: 'ERR_AGENT_REFUSED', message: /the port is taken/ })
  })

  it('keeps the tunnels that it got when another is refused, and asks for that again', async (t) => {
    const relay = await startRelay(t)
    const { agent, log, up } = startAgent(t, relay.port, tcpTunnel(1), { tunnels: [tcpTunnel(1), tcpTunnel(2)] })
    const control = await relay.control(extended)
    const [first, second] = [await control.expect('ReqTunnel'), await control.expect('ReqTunnel')]
    control.send({ type: 'NewTunnel', ReqId: first.ReqId, Url: url, Protocol: 'tcp', Error: '' })
    control.send({ type: 'NewTunnel', ReqId: second.ReqId, Url: '', Protocol: '', Error: 'the port is taken' })
    assert.deepEqual(await up, [url])
    assert.equal((await log.line('tunnel.refused')).fields['target'], '127.0.0.1:2')
    assert.deepEqual(agent.status.failed, [{ target: '127.0.0.1:2', reason: 'the port is taken' }])
    assert.equal(agent.status.state, 'online')
    const again = await control.expect('ReqTunnel')
    control.send({ type: 'NewTunnel', ReqId: again.ReqId, Url: 'tcp://relay.test:9', Protocol: 'tcp', Error: '' })
    await log.line('tunnel.up', 2)
    assert.deepEqual(agent.status.failed, [])
    assert.equal(agent.status.tunnels.length, 2)
    // One that the relay takes away is asked for again as well.
    control.send({ type: 'TunnelClosed', Url: url, Reason: 'asked' })
    assert.equal((await control.expect('ReqTunnel')).RemotePort, 20_001)
  })

  it('keeps the tunnels that a 1.x relay gave when it refuses another, which it does not name', async (t) => {
    const relay = await startRelay(t)
    const { agent, log, up } = startAgent(t, relay.port, tcpTunnel(1), {
      tunnels: [1, 2, 3].map(tcpTunnel),
      timings: { backoff: { minMs: 1_000, maxMs: 1_000 } },
    })
    const control = await relay.control({})
    const ids: string[] = []
    while (ids.length < 3) ids.push((await control.expect('ReqTunnel')).ReqId)
    const [first = '', , third = ''] = ids
    const refusal = { type: 'NewTunnel', ReqId: '', Url: '', Protocol: '', Error: 'the port is taken' } as const
    control.send({ type: 'NewTunnel', ReqId: first, Url: url, Protocol: 'tcp', Error: '' })
    control.send(refusal)
    control.send({ type: 'NewTunnel', ReqId: third, Url: 'tcp://relay.test:3', Protocol: 'tcp', Error: '' })
    assert.deepEqual(await up, [url, 'tcp://relay.test:3'])
    assert.deepEqual(agent.status.failed, [{ target: '127.0.0.1:2', reason: 'the port is taken' }])
    control.send(refusal)
    assert.match(String((await log.line('agent.skipped')).fields['error']), /an answer to no request/)
    const again = await control.expect('ReqTunnel')
    control.send({ type: 'NewTunnel', ReqId: again.ReqId, Url: 'tcp://relay.test:2', Protocol: 'tcp', Error: '' })
    await log.line('tunnel.up', 3)
    assert.deepEqual(agent.status.failed, [])
    assert.equal(log.of('agent.connected').length, 1)
  })

  it('asks a relay for what it can give, whatever it does not know', async (t) => {
    const relay = await startRelay(t)
    const tls = { ...tcpTunnel(2), protocol: 'tls' as const, hostname: 'a.relay.test' }
    const { agent, log, up } = startAgent(t, relay.port, tcpTunnel(1), { tunnels: [tls, tcpTunnel(1)] })
    await tunnelUp(relay, url, extended)
    assert.deepEqual(await up, [url])
    assert.match(String((await log.line('tunnel.refused')).fields['reason']), /does not know tls tunnels/)
    assert.equal(agent.status.failed.length, 1)
    assert.equal(agent.status.state, 'online')
  })

  it('ends when all its tunnels are refused at the first start', async (t) => {
    const relay = await startRelay(t)
    const { up } = startAgent(t, relay.port, tcpTunnel(1), { tunnels: [tcpTunnel(1), tcpTunnel(2)] })
    const control = await relay.control(extended)
    for (const request of [await control.expect('ReqTunnel'), await control.expect('ReqTunnel')]) {
      control.send({ type: 'NewTunnel', ReqId: request.ReqId, Url: '', Protocol: '', Error: 'not you' })
    }
    await assert.rejects(up, { code: 'ERR_AGENT_REFUSED', message: /not you/ })
  })

  it('keeps trying when its tunnel is refused later', async (t) => {
    const relay = await startRelay(t)
    const { up } = startAgent(t, relay.port, tcpTunnel(1))
    const first = await tunnelUp(relay, url, extended)
    await up
    first.socket.destroy()
    for (let i = 0; i < 2; i++) {
      const control = await relay.control(extended)
      assert.equal((await control.expect('ReqTunnel')).RemotePort, 20_001)
      control.send({ type: 'NewTunnel', ReqId: '', Url: '', Protocol: '', Error: 'the port is taken' })
      await control.end()
    }
    await tunnelUp(relay, url, extended)
  })

  it('comes back with its id and its address', async (t) => {
    const relay = await startRelay(t)
    const { log, up } = startAgent(t, relay.port, tcpTunnel(1))
    const first = await tunnelUp(relay, url, { ...extended, clientId: 'given' })
    await up
    first.socket.end()
    const second = await relay.connections.next()
    assert.equal((await second.expect('Auth')).ClientId, 'given')
    const { fields } = await log.line('agent.disconnected')
    assert.equal(fields['reason'], 'the relay closed the connection')
    assert.equal(fields['retryInMs'], 0)
  })

  it('waits for a relay that is not there yet', async (t) => {
    const port = await deadPort()
    const { log, up } = startAgent(t, port, tcpTunnel(1))
    assert.match(String((await log.line('agent.disconnected', 2)).fields['reason']), /ECONNREFUSED/)
    const relay = await startRelay(t, port)
    await tunnelUp(relay, url, extended)
    assert.deepEqual(await up, [url])
  })

  it('says at once that a certificate is not trusted', async (t) => {
    const relay = await startRelay(t)
    const { cert } = await makeCertificate(['localhost', '127.0.0.1', '::1'])
    const { up } = startAgent(t, relay.port, tcpTunnel(1), { trust: { kind: 'ca', pem: cert } })
    await assert.rejects(up, { code: 'ERR_AGENT_TRUST', message: /--ca FILE/ })
  })

  it('checks the name that it dialed', async (t) => {
    const named = await makeCertificate(['elsewhere.test'])
    const relay = await startRelay(t, 0, named)
    const { up } = startAgent(t, relay.port, tcpTunnel(1), { trust: { kind: 'ca', pem: named.cert } })
    await assert.rejects(up, { code: 'ERR_AGENT_TRUST', message: /ALTNAME/ })
  })

  it('trusts anybody when told to', async (t) => {
    const relay = await startRelay(t)
    const { up } = startAgent(t, relay.port, tcpTunnel(1), { trust: { kind: 'none' } })
    await tunnelUp(relay, url, extended)
    await up
  })

  it('skips messages that it does not know', async (t) => {
    const relay = await startRelay(t)
    const { log, up } = startAgent(t, relay.port, tcpTunnel(1))
    const control = await relay.control(extended)
    const request = await control.expect('ReqTunnel')
    const strange = Buffer.from('{"Type":"Weather","Payload":{"Sky":"blue"}}')
    control.socket.write(Buffer.concat([header(BigInt(strange.length)), strange]))
    control.send({ type: 'NewTunnel', ReqId: request.ReqId, Url: url, Protocol: 'tcp', Error: '' })
    await up
    assert.equal((await log.line('agent.skipped')).fields['type'], 'Weather')
  })

  it('survives hostile frames: it closes and comes back', async (t) => {
    const relay = await startRelay(t)
    startAgent(t, relay.port, tcpTunnel(1))
    for (const length of [0n, -1n, 2n ** 31n, 2n ** 40n, 2n ** 63n - 1n]) {
      const control = await relay.control(extended)
      await control.expect('ReqTunnel')
      control.socket.write(header(length))
      await control.end()
    }
    await tunnelUp(relay, url, extended)
  })

  it('answers pings and measures the round trip', async (t) => {
    const relay = await startRelay(t)
    const heartbeat2 = { intervalMs: 20, silenceMs: 60_000 }
    const { agent } = startAgent(t, relay.port, tcpTunnel(1), { timings: { ...defaultTimings, heartbeat2 } })
    const control = await tunnelUp(relay, url, extended)
    control.send({ type: 'Ping', Time: 42 })
    for (let got = { ping: false, pong: false }; !got.ping || !got.pong; ) {
      const message = await control.receive()
      if (message.type === 'Pong') {
        assert.equal(message.Time, 42)
        got = { ...got, pong: true }
      } else {
        assert.equal(message.type, 'Ping')
        assert.ok(message.type === 'Ping' && message.Time !== undefined)
        control.send({ type: 'Pong', Time: message.Time })
        got = { ...got, ping: true }
      }
    }
    // The second ping shows that the answer to the first has been read or is about to be.
    for (let i = 0; i < 50 && agent.status.rttMs === undefined; i++) await control.expect('Ping')
    assert.ok((agent.status.rttMs ?? -1) >= 0)
  })

  it('gives up a silent relay and comes back', async (t) => {
    const relay = await startRelay(t)
    const heartbeat2 = { intervalMs: 30, silenceMs: 100 }
    const { log } = startAgent(t, relay.port, tcpTunnel(1), { timings: { ...defaultTimings, heartbeat2 } })
    await tunnelUp(relay, url, extended)
    assert.equal((await log.line('agent.disconnected')).fields['reason'], 'nothing heard from the relay')
    await tunnelUp(relay, url, extended)
  })

  it('comes back when the relay closes its last tunnel', async (t) => {
    const relay = await startRelay(t)
    const { log } = startAgent(t, relay.port, tcpTunnel(1))
    const control = await tunnelUp(relay, url, extended)
    control.send({ type: 'TunnelClosed', Url: url, Reason: 'closed by the operator' })
    assert.equal((await log.line('tunnel.down')).fields['reason'], 'closed by the operator')
    await tunnelUp(relay, url, extended)
  })

  it('leaves a relay that drains, and asks again', async (t) => {
    const relay = await startRelay(t)
    const { log } = startAgent(t, relay.port, tcpTunnel(1))
    const control = await tunnelUp(relay, url, extended)
    control.send({ type: 'Drain', Reason: 'new version' })
    assert.match(String((await log.line('agent.disconnected')).fields['reason']), /new version/)
    await control.end()
    await tunnelUp(relay, url, extended)
  })

  it('still serves the visitor that a draining relay has sent on its way', async (t) => {
    const relay = await startRelay(t)
    const { agent, log } = startAgent(t, relay.port, tcpTunnel(await startEcho(t)))
    const control = await tunnelUp(relay, url, extended)
    control.send({ type: 'ReqProxy', Tickets: ['t'.repeat(32)] })
    const proxy = await relay.connections.next()
    await proxy.expect('RegProxy')
    control.send({ type: 'Drain', Reason: 'new version' })
    await log.line('agent.disconnected')
    // It is back at once, with the tunnel that the visitor is for not up again.
    await relay.connections.next()
    assert.equal(log.of('agent.disconnected')[0]?.fields['retryInMs'], 0)
    proxy.send({ type: 'StartProxy', Url: url, ClientAddr: '192.0.2.1:5000' })
    proxy.socket.write('hello')
    assert.equal(String(await proxy.bytes(5)), 'hello')
    await agent.stop()
  })

  it('stops while it waits, while it dials and while it is up', async (t) => {
    const waiting = startAgent(t, await deadPort(), tcpTunnel(1))
    await waiting.log.line('agent.disconnected', 2)
    await waiting.agent.stop()
    await assert.rejects(waiting.up, { code: 'ERR_AGENT_STOPPED' })
    assert.equal(await waiting.agent.ended, undefined)

    const relay = await startRelay(t)
    const early = startAgent(t, relay.port, tcpTunnel(1))
    await early.agent.stop()
    assert.equal(early.agent.status.state, 'stopped')

    const running = startAgent(t, relay.port, tcpTunnel(1))
    const control = await tunnelUp(relay, url, extended)
    await running.up
    await running.agent.stop()
    await control.end()
  })
})
