/** Visitors of every kind through a relay and an agent whose connections are lanes, and through those where they are not. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentOptions, TunnelSpec } from '../../src/agent/options.ts'
import { certificate, dataPlane, startAgent, startEcho, tcpTunnel } from '../agent/setup.ts'
import { FrameSocket } from '../relay/frame-socket.ts'
import { eventually } from '../relay/http-front-bed.ts'
import { type BedOptions, RelayBed, token } from '../relay/relay-bed.ts'

interface Stage {
  readonly bed: RelayBed
  readonly agent: Agent
  /** The tunnel's public URL. */
  readonly url: URL
  /** Connections between relay and agent so far, the control connection included. */
  readonly connections: () => number
}

async function stage(
  t: TestContext,
  tunnel: TunnelSpec,
  settings: BedOptions = {},
  options: Partial<AgentOptions> = {},
): Promise<Stage> {
  const bed = await RelayBed.start(t, settings, [], dataPlane)
  const { agent, up } = startAgent(t, bed.port('tunnel'), tunnel, { token, trust: { kind: 'none' }, ...options })
  const [url = ''] = await up
  const before = dataPlane.stats().total.handshakes.done
  // Each handshake is counted at either end.
  return { bed, agent, url: new URL(url), connections: () => (dataPlane.stats().total.handshakes.done - before) / 2 }
}

/** A service that answers with the method, the path and the body that it got; upgrades become an echo. */
async function startWeb(t: TestContext): Promise<number> {
  const server: Server = createServer((request, response) => {
    let body = ''
    request.setEncoding('latin1').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => response.end(`${request.method} ${request.url} ${body}`))
  })
  server.on('upgrade', (_, socket: Socket) => {
    socket.on('error', () => undefined)
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function greet(url: URL, text: string): Promise<void> {
  const visitor = await FrameSocket.plain(Number(url.port))
  visitor.write(text)
  visitor.end()
  assert.equal(await visitor.rest(), text)
}

/** A request over HTTP or HTTPS; the answer as it came. */
async function ask(bed: RelayBed, { protocol, host }: URL, lines: string, body = ''): Promise<string> {
  const visitor = await (protocol === 'http:'
    ? FrameSocket.plain(bed.port('http'))
    : FrameSocket.tls(bed.port('https'), { servername: host.split(':')[0] ?? '' }))
  visitor.write(`${lines}\r\nHost: ${host}\r\nConnection: close\r\n\r\n${body}`)
  return await visitor.rest()
}

describe('relay and agent', () => {
  for (const { what, settings, options, lanes } of [
    { what: 'use lanes', settings: {}, options: {}, lanes: true },
    { what: 'use none where the relay has lanes: false', settings: { lanes: false }, options: {}, lanes: false },
    { what: 'use none where the agent has lanes: false', settings: {}, options: { lanes: false }, lanes: false },
  ]) {
    it(what, async (t) => {
      const { bed, agent, url, connections } = await stage(t, tcpTunnel(await startEcho(t)), settings, options)
      const visits = 30
      for (let i = 0; i < visits; i++) await greet(url, `visitor ${i}`)
      if (lanes) assert(connections() <= 8, `${connections()} connections`)
      // The first were there before, and the count may be a little behind.
      else assert(connections() >= visits / 2, `${connections()} connections`)
      const { extensions } = await bed.tap.until('agent.connected')
      assert.equal((extensions as readonly string[]).includes('lane'), lanes)
      const ended = () => bed.tap.all('join.end').filter(({ reason }) => reason === 'eof').length
      await eventually(() => agent.status.totalJoins === visits && ended() === visits, 'all to be counted')
    })
  }
})

describe('on lanes', () => {
  for (const plain of [true, false]) {
    it(`many visitors at once get each their own bytes (${plain ? 'plain' : 'TLS'})`, async (t) => {
      const { url } = await stage(t, tcpTunnel(await startEcho(t)), { allowPlain: plain }, { plain })
      const one = async (name: number): Promise<void> => {
        for (let i = 0; i < 5; i++) await greet(url, `visitor ${name}, visit ${i}. `.repeat(1 + ((name * 37) % 400)))
      }
      await Promise.all(Array.from({ length: 32 }, (_, name) => one(name)))
    })
  }

  for (const scheme of ['http', 'https'] as const) {
    for (const hsts of [false, true]) {
      it(`${scheme}${hsts ? ' with hsts' : ''}: requests, bodies, chunked bodies, WebSockets`, async (t) => {
        const tunnel: TunnelSpec = { ...tcpTunnel(await startWeb(t)), protocol: scheme, subdomain: 'web' }
        const { bed, url, connections } = await stage(t, tunnel, hsts ? { hstsSeconds: 1000 } : {})
        const before = connections()
        const long = 'x'.repeat(100_000)
        for (let i = 0; i < 3; i++) {
          const got = await ask(bed, url, 'GET /a HTTP/1.1')
          assert.match(got, /^HTTP\/1\.1 200 /)
          assert(got.includes('GET /a '))
          assert.equal(/strict-transport-security/i.test(got), scheme === 'https' && hsts)
          const posted = await ask(bed, url, `POST /b HTTP/1.1\r\nContent-Length: ${long.length}`, long)
          assert(posted.includes(long))
          const chunked = await ask(bed, url, 'PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked', '4\r\nbody\r\n0\r\n\r\n')
          assert(chunked.includes('PUT /c body'))
          const socket = await (scheme === 'http'
            ? FrameSocket.plain(bed.port('http'))
            : FrameSocket.tls(bed.port('https'), { servername: url.hostname }))
          socket.write(
            `GET /ws HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
          )
          let head = ''
          while (!head.endsWith('\r\n\r\n')) head += await socket.read(1)
          assert.match(head, /^HTTP\/1\.1 101 /)
          socket.write('frames')
          assert.equal(await socket.read(6), 'frames')
          socket.destroy()
        }
        // Visitors of https have handshakes of their own, of which only one end is ours.
        if (scheme === 'http') assert(connections() - before <= 8, `${connections() - before} connections`)
      })
    }
  }

  for (const ends of ['service', 'agent'] as const) {
    it(`visitors of a tls tunnel, whose TLS ends at the ${ends}`, async (t) => {
      const service = tls.createServer(certificate, (socket) => {
        socket.on('error', () => undefined)
        socket.pipe(socket)
      })
      service.listen(0, '127.0.0.1')
      await new Promise((resolve) => service.once('listening', resolve))
      t.after(() => service.close())
      const port = ends === 'service' ? (service.address() as AddressInfo).port : await startEcho(t)
      const tunnel: TunnelSpec = {
        ...tcpTunnel(port),
        protocol: 'tls',
        subdomain: 'mail',
        ...(ends === 'agent' ? { certificate } : {}),
      }
      for (const plain of ['passthrough', false] as const) {
        const { bed, url } = await stage(t, tunnel, { allowPlain: plain }, { plain })
        for (let i = 0; i < 4; i++) {
          const visitor = await FrameSocket.tls(bed.port('https'), { servername: url.hostname })
          const text = `visitor ${i} `.repeat(1000)
          visitor.write(text)
          assert.equal(await visitor.read(text.length), text)
          visitor.end()
          assert.equal(await visitor.ended(), 'fin')
        }
      }
    })
  }

  it('a visitor of the relay that drains, and of the agent that is sent away, comes to its end', async (t) => {
    const { bed, url } = await stage(t, tcpTunnel(await startEcho(t)))
    await greet(url, 'before')
    const visitor = await FrameSocket.plain(Number(url.port))
    visitor.write('hello')
    assert.equal(await visitor.read(5), 'hello')
    const stopped = bed.relay.stop(60_000)
    await bed.tap.until('relay.draining', { visitors: 1 })
    const text = 'last words '.repeat(10_000)
    visitor.write(text)
    visitor.end()
    assert.equal(await visitor.rest(), text)
    await stopped
    assert.equal(bed.tap.all('relay.cut').length, 0)
  })
})
