import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { defaultLimits } from '../../src/config/relay-settings.ts'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed, sha256, token } from './relay-bed.ts'

const tokens = [
  { name: 'test', sha256: sha256(token) },
  { name: 'other', sha256: sha256('other') },
]
/** Below the ports that the system gives to outgoing connections. */
const tcpPorts = { first: 20_000, last: 29_999 }

describe('an address whose agent is gone', () => {
  it('is kept for its token, name and port, and nobody else gets it', async (t) => {
    const bed = await RelayBed.start(t, { tokens, tcpPorts })
    const agent = await bed.agent()
    const { Url } = await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    const { port, url } = await agent.tcp()
    agent.destroy()
    await bed.tap.until('agent.disconnected')
    const thief = await bed.agent({ token: 'other' })
    const kept = (address: string): string =>
      `the tunnel ${address} is kept for the agent that had it, which may come back`
    assert.equal((await thief.ask({ Protocol: 'http', Subdomain: 'web' })).Error, kept(Url))
    // The other scheme's visitors have the same cookies.
    assert.match((await thief.ask({ Protocol: 'https', Subdomain: 'web' })).Error, /is kept for/)
    assert.equal((await thief.ask({ Protocol: 'tcp', RemotePort: port })).Error, kept(url))
    assert.equal((await bed.tap.until('tunnel.refused'))['code'], 'ERR_TUNNEL_KEPT')
    // Without its client id, as after a reinstallation: the token is enough.
    const back = await bed.agent()
    assert.equal((await back.ask({ Protocol: 'http', Subdomain: 'web' })).Url, Url)
    assert.equal((await back.tcp({ RemotePort: port })).port, port)
  })

  it('keeps its visitors waiting until it is back, in the order of their coming', async (t) => {
    const bed = await RelayBed.start(t, { tokens })
    const agent = await bed.agent()
    for (const Protocol of ['http+https', 'tls']) {
      await agent.ask({ Protocol, Subdomain: Protocol === 'tls' ? 'raw' : 'web', Encrypt: true })
    }
    agent.destroy()
    await bed.tap.until('agent.disconnected')
    const open = async (servername: string, path: string): Promise<FrameSocket> => {
      const visitor =
        servername === ''
          ? await FrameSocket.plain(bed.port('http'))
          : await FrameSocket.tls(bed.port('https'), { servername })
      visitor.write(`GET ${path} HTTP/1.1\r\nHost: web.localhost\r\n\r\n`)
      return visitor
    }
    const first = await open('', '/1')
    const left = await open('', '/0')
    left.reset()
    const second = await open('', '/2')
    // Its handshake waits as well: the name may be that of a tls tunnel.
    const secure = open('web.localhost', '/3')
    const back = await bed.agent()
    await back.ask({ Protocol: 'http+https', Subdomain: 'web' })
    const paths: string[] = []
    for (let i = 0; i < 3; i++) {
      const { proxy } = await back.visitor()
      paths.push((await proxy.read(6)).slice(4))
      proxy.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`)
      proxy.end()
    }
    for (const visitor of [first, second, await secure]) assert.match(await visitor.rest(), /^HTTP\/1.1 200 OK/)
    assert.deepEqual(
      paths.filter((path) => path !== '/3'),
      ['/1', '/2'],
    )
  })

  it('turns visitors away with 503 when it stays away, and when too many wait', async (t) => {
    const bed = await RelayBed.start(t, { tokens, limits: { ...defaultLimits, waiters: 1, waiterTimeoutMs: 500 } })
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    agent.destroy()
    await bed.tap.until('agent.disconnected')
    const visit = async (): Promise<string> => {
      const visitor = await FrameSocket.plain(bed.port('http'))
      visitor.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
      return await visitor.rest()
    }
    const started = performance.now()
    for (const answer of await Promise.all([visit(), visit()])) {
      assert.match(answer, /^HTTP\/1.1 503 [\s\S]*The agent that holds this tunnel is away/)
    }
    assert(performance.now() - started > 450)
  })

  it("is anybody's once name_grace is over, or 0", async (t) => {
    for (const nameGraceMs of [0, 300]) {
      const bed = await RelayBed.start(t, { tokens, nameGraceMs })
      const agent = await bed.agent()
      await agent.ask({ Protocol: 'http', Subdomain: 'web' })
      agent.destroy()
      await bed.tap.until('agent.disconnected')
      const other = await bed.agent({ token: 'other' })
      const due = performance.now() + 20_000
      while ((await other.ask({ Protocol: 'http', Subdomain: 'web' })).Error !== '') {
        assert(nameGraceMs > 0 && performance.now() < due)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  })

  it("is anybody's when it was given up on a live session", async (t) => {
    const bed = await RelayBed.start(t, { tokens })
    const agent = await bed.agent({ extensions: ['close'] })
    const { Url } = await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    agent.control.send({ type: 'CloseTunnel', Url })
    await agent.control.next('TunnelClosed')
    const other = await bed.agent({ token: 'other' })
    assert.equal((await other.ask({ Protocol: 'http', Subdomain: 'web' })).Error, '')
  })

  it('is kept over a restart of the relay', async (t) => {
    const stateDir = await mkdtemp(join(tmpdir(), 'millrace-grace-'))
    t.after(() => rm(stateDir, { recursive: true, force: true }))
    const first = await RelayBed.start(t, { tokens, stateDir })
    await (await first.agent()).ask({ Protocol: 'http', Subdomain: 'web' })
    await first.relay.stop(0)
    const second = await RelayBed.start(t, { tokens, stateDir })
    const other = await second.agent({ token: 'other' })
    assert.match((await other.ask({ Protocol: 'http', Subdomain: 'web' })).Error, /is kept for/)
    assert.equal((await (await second.agent()).ask({ Protocol: 'http', Subdomain: 'web' })).Error, '')
  })

  it('is kept for the client id on an open relay, unless a 1.x agent quit', async (t) => {
    const bed = await RelayBed.start(t, { open: true, tokens: [] })
    const agent = await bed.agent({ extensions: ['close'] })
    await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    agent.control.socket.end()
    await bed.tap.until('agent.disconnected', { reason: 'ended' })
    const other = await bed.agent()
    assert.match((await other.ask({ Protocol: 'http', Subdomain: 'web' })).Error, /is kept for/)
    const back = await bed.agent({ clientId: agent.clientId })
    assert.equal((await back.ask({ Protocol: 'http', Subdomain: 'web' })).Error, '')
    assert.equal((await other.ask({ Protocol: 'http', Subdomain: 'old' })).Error, '')
    other.control.socket.end()
    const again = await bed.agent()
    for (;;) {
      const { Error: error } = await again.ask({ Protocol: 'http', Subdomain: 'old' })
      if (error === '') break
      assert.match(error, /already registered/)
    }
  })
})
