/** Limits of rates and of single addresses, over real sockets. Those of tunnels, pools and heads are beside what they limit. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { MessageRate } from '../../src/relay/message-rate.ts'
import { FrameSocket } from './frame-socket.ts'
import { eventually } from './http-front-bed.ts'
import { RelayBed, token } from './relay-bed.ts'
import { TestAgent } from './test-agent.ts'

/** A connection from one of this machine's own addresses. */
function from(t: TestContext, localAddress: string, port: number): FrameSocket {
  const connection = new FrameSocket(connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true }))
  t.after(() => connection.destroy())
  return connection
}

const refused = (bed: RelayBed, code: string): number =>
  [...bed.relay.refusals.counts].find(([name]) => name === code)?.[1] ?? 0

describe('limits.visitor_rate', () => {
  it('resets visitors of an address that come too fast, at every front; others come in', async (t) => {
    const bed = await RelayBed.start(t, { limits: { visitorRate: 1 } })
    const agent = await bed.agent()
    agent.echo()
    const { port } = await agent.tcp()
    const fast = (['http', 'https'] as const).flatMap((role) => Array.from({ length: 6 }, () => role))
    const visitors = [...fast.map((role) => from(t, '127.0.0.66', bed.port(role))), from(t, '127.0.0.66', port)]
    await eventually(() => refused(bed, 'ERR_VISITOR_RATE') >= 5, 'five refusals')
    const resets = visitors.map(async (visitor) => visitor.ended())
    assert.equal(
      await Promise.any(resets.map(async (end) => ((await end) === 'reset' ? end : Promise.reject()))),
      'reset',
    )
    await bed.tap.until('visitor.refused', { code: 'ERR_VISITOR_RATE' })
    // They came within moments; of each second there is one line.
    assert(bed.tap.all('visitor.refused').length < refused(bed, 'ERR_VISITOR_RATE'))
    const other = from(t, '127.0.0.67', port)
    other.write('x')
    assert.equal(await other.read(1), 'x')
  })

  it('judges visitors behind a balancer by their own addresses, and lets the balancer come as fast as it likes', async (t) => {
    const bed = await RelayBed.start(t, { proxyProtocolFrom: ['127.0.0.0/8'], limits: { visitorRate: 1 } })
    const agent = await bed.agent()
    agent.echo()
    const { port } = await agent.tcp()
    const through = async (address: string): Promise<string> => {
      const visitor = await FrameSocket.plain(port)
      t.after(() => visitor.destroy())
      visitor.write(`PROXY TCP4 ${address} 192.0.2.8 5 6\r\nx`)
      return await Promise.race([visitor.read(1), visitor.ended()]).catch(() => 'reset')
    }
    for (const host of [1, 2, 3, 4, 5, 6]) assert.equal(await through(`198.51.100.${host}`), 'x')
    const same = await Promise.all(Array.from({ length: 12 }, () => through('198.51.100.7')))
    assert(same.includes('reset') && same.includes('x'), same.join())
  })
})

describe('limits.failed_handshake_rate', () => {
  it('resets connections of an address whose connections come to nothing; others, and who is in, go on', async (t) => {
    const bed = await RelayBed.start(t, { limits: { failedHandshakeRate: 1 } })
    const agent = await bed.agent()
    agent.echo()
    const { port } = await agent.tcp()
    for (let i = 0; refused(bed, 'ERR_CONNECTION_RATE') === 0; i++) {
      assert(i < 200, 'it is never refused')
      const stranger = from(t, '127.0.0.66', bed.port('tunnel'))
      stranger.write('GET / HTTP/1.1\r\n\r\n')
      await stranger.ended()
    }
    await bed.tap.until('connection.refused', { code: 'ERR_CONNECTION_RATE' })
    // Not by what it says: not a byte is read.
    assert.equal(await from(t, '127.0.0.66', bed.port('tunnel')).ended(), 'reset')
    // An agent opens as many proxy connections as visitors come.
    for (let i = 0; i < 40; i++) {
      const visitor = await FrameSocket.plain(port)
      visitor.write('x')
      assert.equal(await visitor.read(1), 'x')
      visitor.destroy()
    }
  })
})

describe('limits.sessions_per_address', () => {
  it('turns agents of a crowded address away without an Error; a takeover needs no second place', async (t) => {
    const bed = await RelayBed.start(t, { limits: { sessionsPerAddress: 1 } })
    const first = await bed.agent()
    await assert.rejects(TestAgent.greet(bed.port('tunnel'), { token }), /ended/)
    await bed.tap.until('connection.refused', { code: 'ERR_ADDRESS_SESSIONS' })
    const second = await bed.agent({ clientId: first.clientId })
    await bed.tap.until('agent.disconnected', { reason: 'evicted' })
    await assert.rejects(TestAgent.greet(bed.port('tunnel'), { token }), /ended/)
    second.destroy()
    await bed.tap.until('agent.disconnected', { session: 2 })
    await bed.agent()
  })
})

describe('limits.tunnels', () => {
  it('refuses tunnels beyond those of all agents', async (t) => {
    const bed = await RelayBed.start(t, { limits: { tunnels: 1 } })
    const [one, two] = [await bed.agent({ extensions: ['close'] }), await bed.agent()]
    const { url } = await one.tcp()
    assert.match((await two.ask({})).Error, /has 1 tunnels/)
    await bed.tap.until('tunnel.refused', { code: 'ERR_RELAY_TUNNELS' })
    one.control.send({ type: 'CloseTunnel', Url: url })
    await one.control.next('TunnelClosed')
    await two.tcp()
  })
})

describe('limits.joins_per_address', () => {
  it('resets visitors of an address beyond it, over HTTP with a 503, whichever tunnel they come to', async (t) => {
    const bed = await RelayBed.start(t, { limits: { joinsPerAddress: 1 } })
    const agent = await bed.agent()
    agent.echo()
    const [one, other] = [await agent.tcp(), await agent.tcp()]
    await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    const first = from(t, '127.0.0.66', one.port)
    first.write('x')
    assert.equal(await first.read(1), 'x')
    assert.equal(await from(t, '127.0.0.66', other.port).ended(), 'reset')
    await bed.tap.until('visitor.refused', { code: 'ERR_ADDRESS_JOINS' })
    const web = from(t, '127.0.0.66', bed.port('http'))
    web.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    assert.match(await web.rest(), /^HTTP\/1\.1 503 /)
    const stranger = from(t, '127.0.0.67', other.port)
    stranger.write('y')
    assert.equal(await stranger.read(1), 'y')
    first.destroy()
    await bed.tap.until('join.end')
    const again = from(t, '127.0.0.66', other.port)
    again.write('z')
    assert.equal(await again.read(1), 'z')
  })
})

describe('limits.control_message_rate', () => {
  it('ends the session of an agent that floods the relay, and nobody else', async (t) => {
    const bed = await RelayBed.start(t, { limits: { controlMessageRate: 2 } })
    const [flooding, quiet] = [await bed.agent(), await bed.agent()]
    for (let i = 0; i < 40; i++) flooding.control.send({ type: 'Ping' })
    await flooding.control.ended()
    const line = await bed.tap.until('agent.disconnected', { session: 1 })
    assert.equal(line['reason'], 'flood')
    assert.equal(refused(bed, 'ERR_CONTROL_RATE'), 1)
    await quiet.tcp()
  })

  it('counts large messages for as much as they cost, allows a burst, and refills', () => {
    let now = 0
    const rate = new MessageRate(
      () => 10,
      () => now,
    )
    for (let i = 0; i < 100; i++) rate.count(40)
    assert.throws(() => rate.count(40), { code: 'ERR_CONTROL_RATE' })
    now = 20_000
    rate.count(90 * 1024)
    assert.throws(() => rate.count(20 * 1024), { code: 'ERR_CONTROL_RATE' })
  })
})

describe('limits.client_hello_ms', () => {
  it('closes visitors of https who do not say hello', async (t) => {
    const bed = await RelayBed.start(t, { limits: { clientHelloMs: 200 } })
    const visitor = await FrameSocket.plain(bed.port('https'))
    visitor.write(Buffer.of(22, 3, 1))
    await visitor.ended()
    await bed.tap.until('visitor.refused', { code: 'ERR_TLS_TIMEOUT' })
  })
})

describe('the limits of HTTP heads', () => {
  it('are those of the config, also of one that is loaded later', async (t) => {
    const bed = await RelayBed.start(t, { limits: { headFields: 10, targetBytes: 256 } })
    const ask = async (head: string): Promise<string> => {
      const visitor = await FrameSocket.plain(bed.port('http'))
      visitor.write(`${head}\r\n\r\n`)
      return (await visitor.rest()).slice(0, 12)
    }
    const fields = Array.from({ length: 11 }, (_, i) => `\r\nX-${i}: 1`).join('')
    assert.equal(await ask(`GET / HTTP/1.1\r\nHost: a${fields}`), 'HTTP/1.1 431')
    assert.equal(await ask(`GET /${'x'.repeat(256)} HTTP/1.1\r\nHost: a`), 'HTTP/1.1 414')
    await bed.relay.reload({ ...bed.settings, limits: { ...bed.settings.limits, headFields: 20 } })
    assert.equal(await ask(`GET / HTTP/1.1\r\nHost: a${fields}`), 'HTTP/1.1 404')
    const codes = bed.tap.all('http.refused').map(({ code }) => code)
    assert.deepEqual(codes, ['ERR_HTTP_HEAD_TOO_LARGE', 'ERR_HTTP_TARGET_TOO_LONG', undefined])
  })
})
