/** The redirect to https, and Strict-Transport-Security. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { describe, it } from 'node:test'
import { FrameSocket } from './frame-socket.ts'
import { type BedOptions, RelayBed } from './relay-bed.ts'
import type { TestAgent } from './test-agent.ts'

const page = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello'
const field = 'Strict-Transport-Security: max-age=600\r\n'

async function bedWithAgent(t: TestContext, options: BedOptions): Promise<{ bed: RelayBed; agent: TestAgent }> {
  const bed = await RelayBed.start(t, options)
  return { bed, agent: await bed.agent() }
}

async function visitor(bed: RelayBed, scheme: 'http' | 'https'): Promise<FrameSocket> {
  return scheme === 'http' ? await FrameSocket.plain(bed.port('http')) : await FrameSocket.tls(bed.port('https'))
}

describe('https_redirect', () => {
  it('sends visitors of hosts with an https tunnel there, others not', async (t) => {
    const { bed, agent } = await bedWithAgent(t, { httpsRedirect: true })
    await agent.ask({ Protocol: 'http+https', Subdomain: 'both' })
    await agent.ask({ Protocol: 'https', Subdomain: 'secure' })
    await agent.ask({ Protocol: 'http', Subdomain: 'plain' })
    for (const name of ['both', 'secure']) {
      const { socket } = await request(name)
      const head = await socket.rest()
      assert.match(head, /^HTTP\/1\.1 308 Permanent Redirect\r\n/)
      assert(head.includes(`\r\nLocation: https://${name}.localhost:${bed.port('https')}/a?b=1\r\n`), head)
    }
    const { socket } = await request('plain')
    const { proxy } = await agent.visitor()
    proxy.write(page)
    proxy.end()
    assert.equal(await socket.rest(), page)

    async function request(name: string): Promise<{ socket: FrameSocket }> {
      const socket = await visitor(bed, 'http')
      socket.write(`POST /a?b=1 HTTP/1.1\r\nHost: ${name}.localhost:1\r\nContent-Length: 0\r\n\r\n`)
      return { socket }
    }
  })

  it('keeps apart what an attacker may put into a target', async (t) => {
    const { bed, agent } = await bedWithAgent(t, { httpsRedirect: true })
    await agent.ask({ Protocol: 'https', Subdomain: 'web' })
    for (const [target, location] of [
      ['//evil.example/', '//evil.example/'],
      ['http://web.localhost/x', '/x'],
      ['/<script>', '/<script>'],
    ] as const) {
      const socket = await visitor(bed, 'http')
      socket.write(`GET ${target} HTTP/1.1\r\nHost: web.localhost\r\n\r\n`)
      const answer = await socket.rest()
      assert(answer.includes(`\r\nLocation: https://web.localhost:${bed.port('https')}${location}\r\n`), answer)
      assert(!answer.includes('<script>', answer.indexOf('\r\n\r\n')))
    }
  })
})

describe('hsts', () => {
  it('is added to what a service answers over https, after interim answers, and the body stays as it is', async (t) => {
    const { bed, agent } = await bedWithAgent(t, { hstsSeconds: 600 })
    const { Url } = await agent.ask({ Protocol: 'https', Subdomain: 'web' })
    const socket = await visitor(bed, 'https')
    socket.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    const { proxy } = await agent.visitor()
    proxy.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${page}`)
    proxy.end()
    const expected = `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${page.replace('\r\n\r\n', `\r\n${field}\r\n`)}`
    assert.equal(await socket.rest(), expected)
    assert.equal((await bed.tap.until('join.end', { url: Url }))['bytesOut'], expected.length)
  })

  it('leaves a service’s own word, requests with a body, upgrades and http alone', async (t) => {
    const { bed, agent } = await bedWithAgent(t, { hstsSeconds: 600 })
    await agent.ask({ Protocol: 'http+https', Subdomain: 'web' })
    const own = 'HTTP/1.1 200 OK\r\nstrict-transport-security: max-age=1\r\nContent-Length: 0\r\n\r\n'
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes'
    for (const [scheme, request, answer] of [
      ['https', 'GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n', own],
      ['https', 'POST / HTTP/1.1\r\nHost: web.localhost\r\nContent-Length: 2\r\n\r\nhi', page],
      ['https', `GET / HTTP/1.1\r\nHost: web.localhost\r\n${upgrade}\r\n`, switching],
      ['http', 'GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n', page],
    ] as const) {
      const socket = await visitor(bed, scheme)
      socket.write(request)
      const { proxy } = await agent.visitor()
      proxy.write(answer)
      proxy.end()
      assert.equal(await socket.read(answer.length), answer)
      socket.end()
      socket.destroy()
    }
  })

  it('is in the relay’s own pages, and 0 takes it back', async (t) => {
    const bed = await RelayBed.start(t, { hstsSeconds: 0 })
    const socket = await visitor(bed, 'https')
    socket.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    assert.match(await socket.rest(), /^HTTP\/1\.1 404 .*\r\nStrict-Transport-Security: max-age=0\r\n/s)
  })

  it('a service that answers no HTTP, or resets, is a 502; a slow one is not cut off by a stop', async (t) => {
    const { bed, agent } = await bedWithAgent(t, { hstsSeconds: 600 })
    await agent.ask({ Protocol: 'https', Subdomain: 'web' })
    const request = 'GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n'
    for (const spoil of ['text', 'reset'] as const) {
      const socket = await visitor(bed, 'https')
      socket.write(request)
      const { proxy } = await agent.visitor()
      if (spoil === 'text') proxy.write('no HTTP at all\r\n\r\n')
      else proxy.reset()
      assert.match(await socket.rest(), /^HTTP\/1\.1 502 /)
    }
    const socket = await visitor(bed, 'https')
    socket.write(request)
    const { proxy } = await agent.visitor()
    await proxy.read(request.length)
    const stopped = bed.relay.stop(60_000)
    proxy.write(page)
    proxy.end()
    assert.match(await socket.rest(), /hello$/)
    await stopped
  })

  it('a stop without patience ends who waits for an answer', async (t) => {
    const { bed, agent } = await bedWithAgent(t, { hstsSeconds: 600 })
    await agent.ask({ Protocol: 'https', Subdomain: 'web' })
    const socket = await visitor(bed, 'https')
    socket.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    const { proxy } = await agent.visitor()
    await proxy.read(4)
    await bed.relay.stop(0)
    await Promise.all([socket.ended(), proxy.ended()])
    assert.equal(bed.relay.counts.visitors, 0)
  })
})
