import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, it } from 'node:test'
import type { RelaySettings } from '../../src/config/relay-settings.ts'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed, sha256, token } from './relay-bed.ts'

/** A port on which something else listens. */
async function usedPort(): Promise<{ readonly port: number; readonly server: net.Server }> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert(typeof address === 'object' && address !== null)
  return { port: address.port, server }
}

/** Settings without one of the web fronts. */
async function bedWithout(t: Parameters<typeof RelayBed.start>[0], front: 'httpAddr' | 'httpsAddr'): Promise<RelayBed> {
  // The bed's own defaults have both.
  return await RelayBed.start(t, { [front]: undefined } as unknown as Partial<Omit<RelaySettings, 'limits'>>)
}

describe('web tunnels', () => {
  it('answer http+https with two tunnels of one name, each with its own port', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    const ReqId = agent.request({ Protocol: 'http+https', Subdomain: 'web' })
    const http = await agent.control.next('NewTunnel')
    const https = await agent.control.next('NewTunnel')
    assert.deepEqual(http, {
      type: 'NewTunnel',
      ReqId,
      Url: `http://web.localhost:${bed.port('http')}`,
      Protocol: 'http',
      Error: '',
    })
    assert.deepEqual(https, {
      ...http,
      Url: `https://web.localhost:${bed.port('https')}`,
      Protocol: 'https',
    })
    await bed.tap.until('tunnel.up', { url: http.Url })
    await bed.tap.until('tunnel.up', { url: https.Url })
  })

  it('share a random name of 8 characters or more', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    agent.request({ Protocol: 'https+http' })
    const [first, second] = [await agent.control.next('NewTunnel'), await agent.control.next('NewTunnel')]
    const { hostname } = new URL(first.Url)
    assert.match(hostname, /^[a-z0-9]{8,}\.localhost$/)
    assert.equal(first.Protocol, 'https')
    assert.equal(new URL(second.Url).hostname, hostname)
  })

  it('take a Hostname before a Subdomain, in lower case', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    const answer = await agent.ask({ Protocol: 'http', Hostname: 'My.Example.ORG', Subdomain: 'other' })
    assert.equal(answer.Url, `http://my.example.org:${bed.port('http')}`)
  })

  it('refuse a name that another agent has, for both schemes, and the session lives on', async (t) => {
    const bed = await RelayBed.start(t)
    const first = await bed.agent()
    const { Url } = await first.ask({ Protocol: 'http', Subdomain: 'web' })
    const second = await bed.agent()
    const taken = await second.ask({ Protocol: 'http', Subdomain: 'web' })
    assert.deepEqual(taken, {
      type: 'NewTunnel',
      ReqId: '',
      Url: '',
      Protocol: '',
      Error: `the tunnel ${Url} is already registered`,
    })
    assert.notEqual((await second.ask({ Protocol: 'https', Subdomain: 'web' })).Error, '')
    assert.equal((await second.ask({ Protocol: 'http', Subdomain: 'free' })).Error, '')
    // The other scheme of one's own name is one's own.
    assert.equal((await first.ask({ Protocol: 'https', Subdomain: 'web' })).Error, '')
  })

  it('are refused the names that their token does not allow', async (t) => {
    const tokens = [{ name: 'scoped', sha256: sha256(token), hostnames: ['web.localhost'] }]
    const bed = await RelayBed.start(t, { tokens })
    const agent = await bed.agent()
    assert.match((await agent.ask({ Protocol: 'http', Subdomain: 'other' })).Error, /does not allow/)
    assert.match((await agent.ask({ Protocol: 'http', Hostname: 'other.example' })).Error, /does not allow/)
    assert.equal((await agent.ask({ Protocol: 'http', Subdomain: 'web' })).Error, '')
    // A name of the relay's choice is nobody's.
    assert.equal((await agent.ask({ Protocol: 'http' })).Error, '')
  })

  it('echo the id of a refused request to agents of ours', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['ticket'] })
    const ReqId = agent.request({ Protocol: 'http', Hostname: 'not a name' })
    const answer = await agent.control.next('NewTunnel')
    assert.equal(answer.ReqId, ReqId)
    assert.match(answer.Error, /not a host name/)
  })

  for (const name of ['a b', '-x', 'a/b', 'a..b', '127.0.0.1', 'x'.repeat(64), '..']) {
    it(`refuse the subdomain and host name ${JSON.stringify(name.slice(0, 12))}`, async (t) => {
      const bed = await RelayBed.start(t)
      const agent = await bed.agent()
      assert.notEqual((await agent.ask({ Protocol: 'http', Hostname: name })).Error, '')
      if (name !== '127.0.0.1') assert.notEqual((await agent.ask({ Protocol: 'http', Subdomain: name })).Error, '')
    })
  }

  it('answer http+https with the http tunnel alone where there is no https front', async (t) => {
    const bed = await bedWithout(t, 'httpsAddr')
    const agent = await bed.agent()
    const answer = await agent.ask({ Protocol: 'http+https', Subdomain: 'web' })
    assert.equal(answer.Url, `http://web.localhost:${bed.port('http')}`)
    // The next answer is that to the next request.
    assert.match((await agent.ask({ Protocol: 'https', Subdomain: 'x' })).Error, /https/)
  })

  it('the same without an http front', async (t) => {
    const bed = await bedWithout(t, 'httpAddr')
    const agent = await bed.agent()
    const answer = await agent.ask({ Protocol: 'http+https', Subdomain: 'web' })
    assert.equal(answer.Url, `https://web.localhost:${bed.port('https')}`)
    assert.match((await agent.ask({ Protocol: 'http', Subdomain: 'x' })).Error, /http/)
  })

  for (const Protocol of ['', 'udp', 'tls', 'http+udp', '+']) {
    it(`refuse the protocol ${JSON.stringify(Protocol)}`, async (t) => {
      const bed = await RelayBed.start(t)
      const agent = await bed.agent()
      assert.notEqual((await agent.ask({ Protocol })).Error, '')
      assert.equal(bed.relay.counts.tunnels, 0)
    })
  }

  it('come back to their agent after a reconnect, and after a restart of the relay', async (t) => {
    // Below the ports that the system gives to outgoing connections, one of which could take the tunnel's meanwhile.
    const tcpPorts = { first: 20_000, last: 29_999 }
    const first = await RelayBed.start(t, { tcpPorts })
    const agent = await first.agent()
    const before = await agent.ask({ Protocol: 'http' })
    const tcp = await agent.tcp()
    agent.destroy()
    await first.tap.until('agent.disconnected')
    const back = await first.agent({ clientId: agent.clientId })
    assert.equal((await back.ask({ Protocol: 'http' })).Url, before.Url)
    assert.equal((await back.tcp()).port, tcp.port)
    await first.relay.stop(0)
    const second = await RelayBed.start(t, { stateDir: first.settings.stateDir, tcpPorts })
    const later = await second.agent({ clientId: agent.clientId })
    const host = new URL((await later.ask({ Protocol: 'http' })).Url).hostname
    assert.equal(host, new URL(before.Url).hostname)
    assert.equal((await later.tcp()).port, tcp.port)
  })

  it('are taken down by CloseTunnel, and their names are free again', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['close'] })
    const { Url } = await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    agent.control.send({ type: 'CloseTunnel', Url })
    assert.deepEqual(await agent.control.next('TunnelClosed'), { type: 'TunnelClosed', Url, Reason: 'asked' })
    await bed.tap.until('tunnel.down', { url: Url })
    assert.equal((await (await bed.agent()).ask({ Protocol: 'http', Subdomain: 'web' })).Url, Url)
  })

  it('go down with their session', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    const { Url } = await agent.ask({ Protocol: 'http' })
    agent.control.end()
    await bed.tap.until('tunnel.down', { url: Url })
    await bed.tap.until('agent.disconnected', { reason: 'ended' })
    assert.deepEqual(bed.relay.counts, { sessions: 0, tunnels: 0, visitors: 0 })
  })

  it('are limited to limits.tunnels_per_session', async (t) => {
    const bed = await RelayBed.start(t, { limits: { tunnelsPerSession: 1 } })
    const agent = await bed.agent()
    agent.request({ Protocol: 'http+https' })
    assert.equal((await agent.control.next('NewTunnel')).Error, '')
    assert.match((await agent.control.next('NewTunnel')).Error, /at most/)
    assert.equal(bed.relay.counts.tunnels, 1)
  })
})

describe('ports of TCP tunnels', () => {
  it('are the one asked for; a taken one is refused and the session lives on', async (t) => {
    const bed = await RelayBed.start(t)
    const first = await bed.agent()
    const { port } = await first.tcp()
    const second = await bed.agent()
    assert.match((await second.ask({ RemotePort: port })).Error, /already registered/)
    await second.tcp()
  })

  it('are refused when another program has them', async (t) => {
    const { port, server } = await usedPort()
    t.after(() => server.close())
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    assert.match((await agent.ask({ RemotePort: port })).Error, new RegExp(`${port} is in use`))
  })

  it('lie in the range, and the range can be used up', async (t) => {
    const { port, server } = await usedPort()
    t.after(() => server.close())
    const bed = await RelayBed.start(t, { tcpPorts: { first: port, last: port } })
    const agent = await bed.agent()
    assert.match((await agent.ask({ RemotePort: port === 65_535 ? 1024 : port + 1 })).Error, /outside/)
    assert.match((await agent.ask({})).Error, /no port is free/)
    server.close()
    await once(server, 'close')
    assert.equal((await agent.tcp()).port, port)
  })

  it('go at once to the session that takes over', async (t) => {
    const bed = await RelayBed.start(t)
    let agent = await bed.agent()
    const { port } = await agent.tcp()
    for (let i = 0; i < 5; i++) {
      agent = await bed.agent({ clientId: agent.clientId })
      assert.equal((await agent.tcp({ RemotePort: port })).port, port)
    }
    agent.echo()
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    visitor.write('x')
    assert.equal(await visitor.read(1), 'x')
  })
})
