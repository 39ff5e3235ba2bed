/** The lists of a tunnel itself (extension `access`): who may come to it, over real sockets. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import { FrameSocket } from './frame-socket.ts'
import { eventually } from './http-front-bed.ts'
import { type BedOptions, RelayBed } from './relay-bed.ts'
import type { TestAgent } from './test-agent.ts'

const friend = '127.0.0.66'
const stranger = '127.0.0.67'
const lists = { Allow: ['127.0.0.64/28'], Deny: [`${stranger}/32`] }
const extensions = ['access', 'tls', 'terminate', 'close']

async function stage(t: TestContext, options: BedOptions = {}): Promise<{ bed: RelayBed; agent: TestAgent }> {
  const bed = await RelayBed.start(t, options)
  return { bed, agent: await bed.agent({ extensions }) }
}

function connectFrom(t: TestContext, localAddress: string, port: number): FrameSocket {
  const visitor = new FrameSocket(net.connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true }))
  t.after(() => visitor.destroy())
  return visitor
}

/** A TLS handshake from one of this machine's addresses: true when it succeeds. */
async function handshakes(
  t: TestContext,
  localAddress: string,
  port: number,
  servername: string,
): Promise<tls.TLSSocket> {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress })
  const session = tls.connect({ socket, servername, rejectUnauthorized: false })
  t.after(() => session.destroy())
  await new Promise<void>((resolve, reject) => {
    session.once('secureConnect', resolve).once('error', reject)
    socket.once('close', () => reject(new Error('closed')))
  })
  return session
}

const denied = (bed: RelayBed): number => bed.relay.refusals.counts.get('ERR_TUNNEL_DENIED') ?? 0

async function get(visitor: FrameSocket | tls.TLSSocket): Promise<string> {
  const request = 'GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n'
  if (visitor instanceof FrameSocket) {
    visitor.write(request)
    return (await visitor.rest()).slice(0, 12)
  }
  visitor.write(request)
  let text = ''
  for await (const chunk of visitor) text += String(chunk)
  return text.slice(0, 12)
}

describe('a tunnel with lists', () => {
  it('over TCP resets whom they keep out before its agent learns of it, and serves the others', async (t) => {
    const { bed, agent } = await stage(t)
    const { port } = await agent.tcp(lists)
    for (const address of [stranger, '127.0.0.1']) {
      assert.equal(await connectFrom(t, address, port).ended(), 'reset')
    }
    await bed.tap.until('visitor.refused', { code: 'ERR_TUNNEL_DENIED' })
    assert.equal(denied(bed), 2)
    connectFrom(t, friend, port)
    const { start } = await agent.visitor()
    assert.match(start.ClientAddr, new RegExp(`^${friend}:`))
    // Another tunnel of the same agent is everybody's.
    const open = await agent.tcp()
    connectFrom(t, stranger, open.port)
    await agent.visitor()
  })

  it('resets them before its TLS begins, where the relay ends that', async (t) => {
    const { agent } = await stage(t)
    const { port } = await agent.tcp({ ...lists, Terminate: true })
    assert.equal(await connectFrom(t, stranger, port).ended(), 'reset')
    await handshakes(t, friend, port, 'localhost')
  })

  it('over http and https gives them a 403', async (t) => {
    const { bed, agent } = await stage(t)
    agent.request({ Protocol: 'http+https', Subdomain: 'web', ...lists })
    for (let i = 0; i < 2; i++) assert.equal((await agent.control.next('NewTunnel')).Error, '')
    assert.equal(await get(connectFrom(t, stranger, bed.port('http'))), 'HTTP/1.1 403')
    assert.equal(await get(await handshakes(t, stranger, bed.port('https'), 'web.localhost')), 'HTTP/1.1 403')
    assert.equal(denied(bed), 2)
    await bed.tap.until('http.refused', { status: 403, code: 'ERR_TUNNEL_DENIED' })
    const visitor = connectFrom(t, friend, bed.port('http'))
    visitor.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    const { proxy } = await agent.visitor()
    proxy.write('HTTP/1.1 204 No Content\r\n\r\n')
    proxy.end()
    assert.match(await visitor.rest(), /^HTTP\/1\.1 204/)
  })

  it('over passed-through TLS resets them', async (t) => {
    const { bed, agent } = await stage(t)
    assert.equal((await agent.ask({ Protocol: 'tls', Hostname: 'mail.example', ...lists })).Error, '')
    await assert.rejects(handshakes(t, stranger, bed.port('https'), 'mail.example'))
    await eventually(() => denied(bed) === 1, 'a refusal')
    handshakes(t, friend, bed.port('https'), 'mail.example').catch(() => undefined)
    await agent.visitor()
  })

  it('judges by what a trusted balancer says, IPv6 as well', async (t) => {
    const { agent } = await stage(t, { proxyProtocolFrom: ['127.0.0.0/8'] })
    const { port } = await agent.tcp({ Allow: ['2001:db8::/32', '192.0.2.0/24'], Deny: ['2001:db8:bad::/48'] })
    const come = async (family: string, address: string): Promise<FrameSocket> => {
      const visitor = await FrameSocket.plain(port)
      t.after(() => visitor.destroy())
      visitor.write(`PROXY ${family} ${address} ${family === 'TCP6' ? '::1' : '192.0.2.8'} 5 6\r\n`)
      return visitor
    }
    for (const [family, address] of [
      ['TCP6', '2001:db8:bad::1'],
      ['TCP6', '2001:dead::1'],
      ['TCP4', '198.51.100.1'],
    ] as const) {
      assert.equal(await (await come(family, address)).ended(), 'reset', address)
    }
    for (const [family, address] of [
      ['TCP6', '2001:db8:1::1'],
      ['TCP4', '192.0.2.1'],
    ] as const) {
      await come(family, address)
      const { start } = await agent.visitor()
      assert(start.ClientAddr.includes(address), start.ClientAddr)
    }
  })

  it('is refused when a list is malformed, and opens nothing', async (t) => {
    const { bed, agent } = await stage(t)
    for (const bad of ['10.0.0.0/33', 'example.com', '']) {
      assert.match((await agent.ask({ Allow: ['10.0.0.0/8', bad] })).Error, /not an IP network/)
    }
    await bed.tap.until('tunnel.refused', { code: 'ERR_NETWORK' })
    assert.equal(bed.relay.counts.tunnels, 0)
  })

  it('is one without lists for an agent that has not agreed on the extension', async (t) => {
    const { bed } = await stage(t)
    const agent = await bed.agent({ extensions: ['close'] })
    const { port } = await agent.tcp(lists)
    connectFrom(t, stranger, port)
    await agent.visitor()
  })
})
