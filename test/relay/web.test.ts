import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed } from './relay-bed.ts'
import type { TestAgent } from './test-agent.ts'

const page = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello'

/** Serves one visitor as a web service; resolves with the head that came. */
async function serveOnce(agent: TestAgent): Promise<string> {
  const { proxy } = await agent.visitor()
  let head = ''
  while (!head.endsWith('\r\n\r\n')) head += await proxy.read(1)
  proxy.write(page)
  proxy.end()
  return head
}

describe('web tunnels through a relay', () => {
  for (const scheme of ['http', 'https'] as const) {
    it(`${scheme}: a request finds its tunnel by Host, and the answer its way back`, async (t) => {
      const bed = await RelayBed.start(t)
      const agent = await bed.agent()
      const { Url } = await agent.ask({ Protocol: scheme, Subdomain: 'web' })
      const port = bed.port(scheme)
      const visitor = await (scheme === 'http' ? FrameSocket.plain(port) : FrameSocket.tls(port))
      visitor.write('GET /path HTTP/1.1\r\nHost: WEB.localhost:1234\r\n\r\n')
      const head = await serveOnce(agent)
      assert.match(head, /^GET \/path HTTP\/1\.1\r\n/)
      assert.match(head, new RegExp(`X-Forwarded-Proto: ${scheme}\\r\\n`, 'i'))
      assert.equal(await visitor.rest(), page)
      const line = await bed.tap.until('join.end', { url: Url })
      assert.equal(line['bytesIn'], head.length)
      assert.equal(line['bytesOut'], page.length)
    })
  }

  it('the same name over the other scheme is no tunnel', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'https', Subdomain: 'web' })
    const visitor = await FrameSocket.plain(bed.port('http'))
    visitor.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    assert.match(await visitor.rest(), /^HTTP\/1\.1 404 /)
  })

  it('HttpAuth is asked for', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'http', Subdomain: 'web', HttpAuth: 'user:pass' })
    const stranger = await FrameSocket.plain(bed.port('http'))
    stranger.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    assert.match(await stranger.rest(), /^HTTP\/1\.1 401 /)
    const friend = await FrameSocket.plain(bed.port('http'))
    const credentials = Buffer.from('user:pass').toString('base64')
    friend.write(`GET / HTTP/1.1\r\nHost: web.localhost\r\nAuthorization: Basic ${credentials}\r\n\r\n`)
    await serveOnce(agent)
    assert.match(await friend.rest(), /^HTTP\/1\.1 200 /)
  })

  for (const [name, limits, status] of [
    ['limits.waiter_timeout_ms', { waiterTimeoutMs: 100 }, 504],
    ['limits.waiters', { waiters: 1 }, 503],
    ['limits.joins_per_tunnel', { joinsPerTunnel: 1 }, 503],
    ['limits.joins', { joins: 1 }, 503],
    ['limits.pending_visitors', { pendingVisitors: 1 }, 503],
  ] as const) {
    it(`${name}: the visitor beyond it gets a ${status}`, async (t) => {
      const bed = await RelayBed.start(t, { limits })
      const agent = await bed.agent()
      await agent.ask({ Protocol: 'http', Subdomain: 'web' })
      const request = 'GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n'
      const first = await FrameSocket.plain(bed.port('http'))
      t.after(() => first.destroy())
      first.write(request)
      // The second request of the agent's: the first visitor waits.
      await agent.control.next('ReqProxy')
      await agent.control.next('ReqProxy')
      const second = await FrameSocket.plain(bed.port('http'))
      second.write(request)
      assert.match(await second.rest(), new RegExp(`^HTTP/1\\.1 ${status} `))
      // The operator hears of it without asking for more of the log.
      const event = name === 'limits.pending_visitors' ? 'visitor.refused' : 'http.refused'
      assert.equal((await bed.tap.until(event))['level'], 'warn')
    })
  }

  it('limits.head_bytes: a larger head gets a 431', async (t) => {
    const bed = await RelayBed.start(t, { limits: { headBytes: 2048 } })
    const visitor = await FrameSocket.plain(bed.port('http'))
    visitor.write(`GET / HTTP/1.1\r\nHost: web.localhost\r\nX-Large: ${'x'.repeat(4096)}\r\n\r\n`)
    assert.match(await visitor.rest(), /^HTTP\/1\.1 431 /)
  })

  it('a visitor who leaves while waiting frees its place in the tunnel', async (t) => {
    const bed = await RelayBed.start(t, { limits: { joinsPerTunnel: 1 } })
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    const request = 'GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n'
    const first = await FrameSocket.plain(bed.port('http'))
    first.write(request)
    await agent.control.next('ReqProxy')
    await agent.control.next('ReqProxy')
    first.reset()
    // Its proxy connection comes all the same, and is closed unused.
    const unused = await agent.openProxy()
    await unused.ended()
    const second = await FrameSocket.plain(bed.port('http'))
    second.write(request)
    const proxy = await agent.openProxy()
    await proxy.next('StartProxy')
    second.destroy()
  })

  it('when the session ends, who still waits gets a 502', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    const visitor = await FrameSocket.plain(bed.port('http'))
    visitor.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    await agent.control.next('ReqProxy')
    await agent.control.next('ReqProxy')
    agent.control.end()
    assert.match(await visitor.rest(), /^HTTP\/1\.1 502 /)
  })
})
