/** What a token allows, each at the place where it takes effect, over real sockets. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { TokenEntry } from '../../src/config/relay-settings.ts'
import { FrameSocket } from './frame-socket.ts'
import { type BedOptions, RelayBed, sha256, token } from './relay-bed.ts'
import { TestAgent } from './test-agent.ts'

const bedWith = (t: TestContext, scopes: Partial<TokenEntry>, options: BedOptions = {}): Promise<RelayBed> =>
  RelayBed.start(t, { ...options, tokens: [{ name: 'test', sha256: sha256(token), ...scopes }] })

/** The agent is let in by the token, and turned away without an Error. */
async function assertDismissed(bed: RelayBed, code: string): Promise<void> {
  await assert.rejects(TestAgent.greet(bed.port('tunnel'), { token }), /ended/)
  await bed.tap.until('connection.refused', { code, audit: 'refused', agent: 'test' })
}

/** The agent hears that its token is not accepted, as of an unknown one; only the log has the reason. */
async function assertRefused(bed: RelayBed, code: string): Promise<void> {
  const known = await TestAgent.greet(bed.port('tunnel'), { token })
  const unknown = await TestAgent.greet(bed.port('tunnel'), { token: 'unknown' })
  assert.notEqual(known.auth.Error, '')
  assert.deepEqual(known.auth, unknown.auth)
  for (const { control } of [known, unknown]) {
    assert.equal(await control.ended(), 'fin')
    control.destroy()
  }
  await bed.tap.until('connection.refused', { code, audit: 'refused', agent: 'test' })
  await bed.tap.until('connection.refused', { code: 'ERR_AUTH_TOKEN', audit: 'refused' })
}

describe('a token', () => {
  it('may be limited to host names and subdomains', async (t) => {
    const bed = await bedWith(t, { hostnames: ['own.example.com'], subdomains: ['web-*'] })
    const agent = await bed.agent()
    for (const fields of [{ Hostname: 'own.example.com' }, { Subdomain: 'web-1' }, {}]) {
      assert.equal((await agent.ask({ Protocol: 'http', ...fields })).Error, '', JSON.stringify(fields))
    }
    for (const fields of [{ Hostname: 'other.example.com' }, { Subdomain: 'shop' }]) {
      assert.match((await agent.ask({ Protocol: 'http', ...fields })).Error, /does not allow the name/)
    }
    await bed.tap.until('tunnel.refused', { code: 'ERR_TUNNEL_HOST', audit: 'refused', agent: 'test' })
  })

  it('may be limited to ports', async (t) => {
    const probe = await RelayBed.start(t)
    const { port } = await (await probe.agent()).tcp()
    await probe.relay.stop(0)
    const bed = await bedWith(t, { tcpPorts: [{ first: port, last: port }] })
    const agent = await bed.agent()
    assert.match((await agent.ask({ RemotePort: port === 2000 ? 2001 : 2000 })).Error, /not one that the token allows/)
    assert.equal((await agent.tcp()).port, port)
    assert.match((await agent.ask({})).Error, /no port is free in the range/)
  })

  it('may be limited to protocols, of which http and https stand in for each other', async (t) => {
    const bed = await bedWith(t, { protocols: ['https'] })
    const agent = await bed.agent()
    assert.equal((await agent.ask({ Protocol: 'http+https' })).Protocol, 'https')
    assert.match((await agent.ask({ Protocol: 'tcp' })).Error, /does not allow tcp tunnels/)
    assert.match((await agent.ask({ Protocol: 'http' })).Error, /does not allow http tunnels/)
  })

  it('may be limited in sessions (ERR_TOKEN_SESSIONS); who takes over its own needs no second place', async (t) => {
    const bed = await bedWith(t, { sessions: 1 })
    const first = await bed.agent()
    await assertDismissed(bed, 'ERR_TOKEN_SESSIONS')
    const second = await bed.agent({ clientId: first.clientId })
    second.destroy()
    await bed.tap.until('agent.disconnected', { session: 2 })
    await bed.agent()
  })

  it('may be limited in tunnels of all its agents (ERR_TOKEN_TUNNELS)', async (t) => {
    const bed = await bedWith(t, { tunnels: 1 })
    const [one, two] = [await bed.agent({ extensions: ['close'] }), await bed.agent()]
    const { url } = await one.tcp()
    assert.match((await two.ask({})).Error, /1 tunnels at most/)
    one.control.send({ type: 'CloseTunnel', Url: url })
    await one.control.next('TunnelClosed')
    await two.tcp()
  })

  it('may be limited in visitors of all its tunnels (ERR_TOKEN_CONNECTIONS)', async (t) => {
    const bed = await bedWith(t, { connections: 1 })
    const agent = await bed.agent()
    agent.echo()
    const [a, b] = [await agent.tcp(), await agent.tcp()]
    const { Url } = await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    const visitor = await FrameSocket.plain(a.port)
    visitor.write('x')
    assert.equal(await visitor.read(1), 'x')
    assert.equal(await (await FrameSocket.plain(b.port)).ended(), 'reset')
    await bed.tap.until('visitor.refused', { url: b.url, code: 'ERR_TOKEN_CONNECTIONS' })
    const web = await FrameSocket.plain(bed.port('http'))
    web.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    assert.match(await web.rest(), /^HTTP\/1\.1 503 /)
    await bed.tap.until('http.refused', { subject: Url, code: 'ERR_TOKEN_CONNECTIONS' })
    visitor.destroy()
    await bed.tap.until('join.end')
    const next = await FrameSocket.plain(b.port)
    next.write('y')
    assert.equal(await next.read(1), 'y')
    next.destroy()
  })

  it('may be limited in bandwidth, which all its visitors share', async (t) => {
    const bytes = 50_000
    const bed = await bedWith(t, { bandwidth: 50_000 })
    const agent = await bed.agent()
    agent.echo()
    const { port } = await agent.tcp()
    const start = performance.now()
    const visitors = [await FrameSocket.plain(port), await FrameSocket.plain(port)]
    await Promise.all(
      visitors.map(async (visitor) => {
        visitor.write('x'.repeat(bytes))
        assert.equal((await visitor.read(bytes)).length, bytes)
        visitor.destroy()
      }),
    )
    // 200 000 bytes there and back, of which 50 000 may pass at once: 3 s at 50 000 a second.
    const ms = performance.now() - start
    assert(ms > 2_500, `it took ${ms} ms`)
  })

  it('may be limited to networks (ERR_TOKEN_NETWORK)', async (t) => {
    const bed = await bedWith(t, { networks: ['192.0.2.0/24'] })
    await assertRefused(bed, 'ERR_TOKEN_NETWORK')
    await (await bedWith(t, { networks: ['192.0.2.0/24', '127.0.0.0/8'] })).agent()
    const denyNetworks = ['127.0.0.1']
    await assertRefused(await bedWith(t, { networks: ['127.0.0.0/8'], denyNetworks }), 'ERR_TOKEN_NETWORK')
  })

  it('may be disabled or have expired, and is refused as an unknown one is', async (t) => {
    await assertRefused(await bedWith(t, { disabled: true }), 'ERR_TOKEN_DISABLED')
    await assertRefused(await bedWith(t, { expires: Date.now() - 1 }), 'ERR_TOKEN_EXPIRED')
  })
})

describe('an address that fails to log in', () => {
  it('has to wait after limits.login_failures, with the right token too, and is closed without an answer', async (t) => {
    const bed = await RelayBed.start(t, { limits: { loginFailures: 2 } })
    const inside = await bed.agent()
    for (let i = 0; i < 2; i++) {
      const { control, auth } = await TestAgent.greet(bed.port('tunnel'), { token: `guess ${i}` })
      assert.notEqual(auth.Error, '')
      control.destroy()
    }
    await assert.rejects(TestAgent.greet(bed.port('tunnel'), { token }), /ended/)
    await bed.tap.until('connection.refused', { code: 'ERR_LOGIN_BACKOFF', audit: 'refused' })
    // Who is in stays, proxy connections included.
    inside.echo()
    const { port } = await inside.tcp()
    const visitor = await FrameSocket.plain(port)
    visitor.write('x')
    assert.equal(await visitor.read(1), 'x')
    visitor.destroy()
  })
})
