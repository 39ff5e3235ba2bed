/** Behind a load balancer: who the visitor is, by the PROXY protocol from trusted networks, and from nobody else. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import { parseConfig } from '../../src/config/load.ts'
import { relaySchema } from '../../src/config/relay-schema.ts'
import { proxyProtocolHeader } from '../../src/net/proxy-protocol-header.ts'
import { FrameSocket } from './frame-socket.ts'
import { type BedOptions, RelayBed } from './relay-bed.ts'
import type { TestAgent } from './test-agent.ts'

/** Where the tests' balancer, and strangers, come from. */
const balancer = '127.0.0.1'
const stranger = '127.0.0.2'
const visitor = { host: '2001:db8::7', port: 50_000 }
const front = { host: '2001:db8::1', port: 443 }
const header = proxyProtocolHeader('v2', visitor, front)
const page = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello'

async function connect(t: TestContext, port: number, localAddress = balancer): Promise<FrameSocket> {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true })
  const connection = new FrameSocket(socket)
  t.after(() => connection.destroy())
  // One that is refused may be reset before it has heard of its connection.
  await once(socket, 'connect').catch((error: unknown) => assert.match(String(error), /ECONNRESET/))
  return connection
}

async function stage(t: TestContext, options: BedOptions = {}) {
  const bed = await RelayBed.start(t, { proxyProtocolFrom: [`${balancer}/32`], ...options })
  const agent = await bed.agent({ extensions: ['origin'] })
  return { bed, agent, ...(await agent.tcp()) }
}

/** Serves one visitor as a web service; resolves with the head and with what StartProxy said. */
async function serveOnce(agent: TestAgent) {
  const { proxy, start } = await agent.visitor()
  let head = ''
  while (!head.endsWith('\r\n\r\n')) head += await proxy.read(1)
  proxy.write(page)
  proxy.end()
  return { head, start }
}

describe('the PROXY protocol from a trusted balancer', () => {
  it('says who a TCP visitor is, whatever the header is split into, and is not part of the bytes', async (t) => {
    const { agent, port } = await stage(t)
    for (const version of ['v1', 'v2'] as const) {
      const connection = await connect(t, port)
      connection.socket.setNoDelay(true)
      for (const byte of proxyProtocolHeader(version, visitor, front)) connection.write(Buffer.of(byte))
      connection.write('hello')
      const { proxy, start } = await agent.visitor()
      assert.equal(start.ClientAddr, '[2001:db8::7]:50000')
      assert.equal(start.ServerAddr, '[2001:db8::1]:443')
      assert.equal(await proxy.read(5), 'hello')
      proxy.write('answer')
      assert.equal(await connection.read(6), 'answer')
    }
  })

  it('comes before the request, for X-Forwarded-For', async (t) => {
    const { bed, agent } = await stage(t)
    await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    const connection = await connect(t, bed.port('http'))
    connection.write(Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')]))
    const { head, start } = await serveOnce(agent)
    assert.match(head, /^X-Forwarded-For: 2001:db8::7\r$/im)
    assert.match(head, /^X-Forwarded-Port: 443\r$/im)
    assert.equal(start.ClientAddr, '[2001:db8::7]:50000')
    assert.equal(await connection.rest(), page)
  })

  it('comes before the handshake, and is remembered behind it', async (t) => {
    const { bed, agent } = await stage(t)
    await agent.ask({ Protocol: 'https', Subdomain: 'web' })
    const raw = (await connect(t, bed.port('https'))).socket
    raw.removeAllListeners('data')
    raw.write(header)
    const socket = tls.connect({ socket: raw, servername: 'web.localhost', rejectUnauthorized: false })
    const connection = new FrameSocket(socket, raw)
    connection.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    const { head, start } = await serveOnce(agent)
    assert.match(head, /^X-Forwarded-For: 2001:db8::7\r$/im)
    assert.equal(start.ClientAddr, '[2001:db8::7]:50000')
    assert.equal(await connection.rest(), page)
  })

  it("leaves the balancer's own address when the header has none", async (t) => {
    const { agent, port } = await stage(t)
    const connection = await connect(t, port)
    connection.write('PROXY UNKNOWN\r\nhello')
    const { proxy, start } = await agent.visitor()
    assert.equal(start.ClientAddr, `127.0.0.1:${connection.socket.localPort}`)
    assert.equal(await proxy.read(5), 'hello')
  })

  it('is never looked for in the bytes of anybody else', async (t) => {
    const { agent, port } = await stage(t)
    const connection = await connect(t, port, stranger)
    connection.write(header)
    const { proxy, start } = await agent.visitor()
    assert.equal(start.ClientAddr, `${stranger}:${connection.socket.localPort}`)
    assert.equal(await proxy.read(header.length), header.toString('latin1'))
    // Nor is it awaited: one who says nothing is a visitor at once.
    const silent = await connect(t, port, stranger)
    assert.equal((await agent.visitor()).start.ClientAddr, `${stranger}:${silent.socket.localPort}`)
  })

  it('has to be there, and to be right', async (t) => {
    const { bed, port } = await stage(t)
    for (const bytes of [
      'GET / HTTP/1.1\r\n',
      'PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n',
      'PROXY ',
      `PROXY ${'x'.repeat(200)}`,
    ]) {
      const connection = await connect(t, port)
      connection.write(bytes)
      if (bytes === 'PROXY ') connection.end()
      await connection.ended()
    }
    const lines = bed.tap.all('visitor.refused')
    assert.deepEqual([...bed.relay.refusals.counts], [['ERR_PROXY_PROTOCOL', 4]])
    assert(lines.length > 0)
    assert.doesNotMatch(JSON.stringify(lines), /GET|1\.1\.1\.1|xxx/)
  })

  it('has a deadline', async (t) => {
    const { bed, port } = await stage(t, { limits: { proxyHeaderMs: 200 } })
    const connection = await connect(t, port)
    connection.write('PROXY TCP4')
    assert.equal(await connection.ended(), 'reset')
    const line = await bed.tap.until('visitor.refused')
    assert.deepEqual([line['code'], /200 ms/.test(String(line['error']))], ['ERR_PROXY_PROTOCOL', true])
  })

  it('is awaited from so many at once only, and a balancer that only looks is no fault', async (t) => {
    const { bed, port, agent } = await stage(t, { limits: { pendingVisitors: 2 } })
    const probe = await connect(t, port)
    probe.end()
    await probe.ended()
    const waiting = [await connect(t, port), await connect(t, port)]
    const third = await connect(t, port)
    assert.equal(await third.ended(), 'reset')
    const line = await bed.tap.until('visitor.refused')
    assert.equal(line['code'], 'ERR_VISITOR_LIMIT')
    assert.equal(bed.tap.all('visitor.refused').length, 1)
    for (const connection of waiting) connection.write(header)
    assert.equal((await agent.visitor()).start.ClientAddr, '[2001:db8::7]:50000')
    assert.equal((await agent.visitor()).start.ClientAddr, '[2001:db8::7]:50000')
  })

  it('is not waited for by a relay that stops', async (t) => {
    const { bed, port } = await stage(t)
    const connection = await connect(t, port)
    connection.write('PROXY ')
    const late = await connect(t, port)
    await bed.relay.stop(0)
    await Promise.all([connection.ended(), late.ended()])
    assert.equal(bed.tap.all('visitor.refused').length, 0)
  })

  it('is configured by networks', () => {
    const read = (text: string) => parseConfig(text, 'relay.yaml', relaySchema).proxy_protocol_from
    assert.deepEqual(read('proxy_protocol_from: [10.0.0.0/8, "::1"]'), ['10.0.0.0/8', '::1'])
    assert.throws(() => read('proxy_protocol_from:\n  - 10.0.0.0/8\n  - 10.0.0.0/64'), {
      message: /^relay\.yaml:3:5: proxy_protocol_from\.1: not an IP network .*"10\.0\.0\.0\/64"/,
    })
  })
})
