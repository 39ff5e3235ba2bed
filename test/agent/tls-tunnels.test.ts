/** Tunnels with TLS for visitors, at the agent: what it asks for, and what it does when it ends the TLS itself. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import tls from 'node:tls'
import { Loopback } from '../../src/agent/loopback.ts'
import type { TunnelSpec } from '../../src/agent/options.ts'
import type { DataPlane, Listener } from '../../src/dataplane/types.ts'
import { certificate, dataPlane, deadPort, startAgent, startEcho, startRelay, tcpTunnel, tunnelUp } from './setup.ts'

const url = 'tls://mail.example:443'

function tlsTunnel(port: number, fields: Partial<TunnelSpec> = {}): TunnelSpec {
  return { ...tcpTunnel(port), protocol: 'tls', ...fields }
}

/** A client's TLS inside a connection that is there already. */
async function handshake(socket: Socket): Promise<tls.TLSSocket> {
  // Not on a TLSSocket itself: Node can't, reliably.
  const server = createServer()
  server.listen(0, '127.0.0.1')
  const accepted = once(server, 'connection')
  await once(server, 'listening')
  const address = server.address()
  assert(address !== null && typeof address === 'object')
  const near = connect({ port: address.port, host: '127.0.0.1' })
  const [far] = (await accepted) as [Socket]
  server.close()
  far.pipe(socket).pipe(far)
  far.on('error', () => socket.destroy())
  socket.on('error', () => far.destroy())
  const session = tls.connect({ socket: near, servername: 'localhost', ca: certificate.cert })
  await once(session, 'secureConnect')
  return session
}

it('an agent speaks no TLS older than it was told', async (t) => {
  const relay = tls.createServer({ ...certificate, maxVersion: 'TLSv1.2' }).listen(0, '127.0.0.1')
  t.after(() => relay.close())
  await once(relay, 'listening')
  const address = relay.address()
  assert(address !== null && typeof address === 'object')
  const failed = once(relay, 'tlsClientError')
  const { log } = startAgent(t, address.port, tcpTunnel(1), { tlsMinVersion: 'TLSv1.3' })
  const [error] = (await failed) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ERR_SSL_UNSUPPORTED_PROTOCOL')
  const { fields } = await log.line('agent.disconnected')
  assert.match(String(fields['reason']), /no TLS version that is allowed/)
})

describe('an agent with a tunnel whose visitors speak TLS', () => {
  for (const [name, spec, lacks, says] of [
    ['tls', tlsTunnel(1), ['terminate'], /does not know tls tunnels/],
    ['tcp --tls', { ...tcpTunnel(1), relayTls: true }, ['tls'], /does not know --tls/],
  ] as const) {
    it(`asks no relay for it that does not know it: ${name}`, async (t) => {
      for (const extensions of [undefined, lacks]) {
        const relay = await startRelay(t)
        const { up } = startAgent(t, relay.port, spec)
        const control = await relay.control(extensions === undefined ? {} : { extensions })
        await assert.rejects(up, { code: 'ERR_AGENT_REFUSED', message: says })
        assert.equal((await control.rest()).length, 0)
      }
    })
  }

  it('asks for the termination, and only then', async (t) => {
    for (const relayTls of [true, false]) {
      const relay = await startRelay(t)
      startAgent(t, relay.port, { ...tcpTunnel(1), relayTls })
      const control = await relay.control({ extensions: ['terminate'] })
      assert.equal((await control.expect('ReqTunnel')).Terminate, relayTls ? true : undefined)
    }
  })

  it('ends the TLS with its certificate; the service gets what was said', async (t) => {
    const relay = await startRelay(t)
    const spec = tlsTunnel(await startEcho(t), { certificate })
    const { agent } = startAgent(t, relay.port, spec)
    const control = await tunnelUp(relay, url, { extensions: ['tls'] })
    control.send({ type: 'ReqProxy' })
    const proxy = await relay.connections.next()
    await proxy.expect('RegProxy')
    proxy.send({ type: 'StartProxy', Url: url, ClientAddr: '192.0.2.1:1' })
    proxy.socket.removeAllListeners('data')
    const visitor = await handshake(proxy.socket)
    assert.equal(visitor.authorized, true)
    visitor.setEncoding('utf8').write('hello')
    assert.deepEqual(await once(visitor, 'data'), ['hello'])
    assert.equal(agent.status.openJoins, 1)
    visitor.destroy()
  })

  it('turns visitors away that speak no TLS, or whose service is down', async (t) => {
    const relay = await startRelay(t)
    const { agent, log } = startAgent(t, relay.port, tlsTunnel(await deadPort(), { certificate }))
    const control = await tunnelUp(relay, url, { extensions: ['tls'] })
    for (const speaks of ['http', 'tls']) {
      control.send({ type: 'ReqProxy' })
      const proxy = await relay.connections.next()
      await proxy.expect('RegProxy')
      proxy.send({ type: 'StartProxy', Url: url, ClientAddr: '192.0.2.1:1' })
      if (speaks === 'http') {
        proxy.socket.write('GET / HTTP/1.1\r\n\r\n')
        await proxy.end()
        await log.line('visitor.refused')
      } else {
        proxy.socket.removeAllListeners('data')
        const visitor = await handshake(proxy.socket)
        visitor.on('error', () => undefined).resume()
        await once(visitor, 'close')
        await log.line('local.down')
      }
    }
    assert.equal(agent.status.openJoins, 0)
  })
})

describe('the agent’s connection with itself', () => {
  it('makes pairs, many at once, and takes no stranger for one of them', async (t) => {
    const ending = new AbortController()
    t.after(() => ending.abort())
    let port = 0
    const watched: Pick<DataPlane, 'listen' | 'dial'> = {
      listen: async (...args): Promise<Listener> => {
        const listener = await dataPlane.listen(...args)
        if (listener.address.family !== 'unix') port = listener.address.port
        return listener
      },
      dial: (...args) => dataPlane.dial(...args),
    }
    const loopback = new Loopback(watched as DataPlane, ending.signal)
    const strangers: Socket[] = []
    const stranger = async (): Promise<void> => {
      const socket = connect({ port, host: '127.0.0.1' })
      socket.on('error', () => undefined)
      strangers.push(socket)
      // A reset may come as fast as the connection itself.
      await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
    }
    const first = await loopback.pair()
    const pairs = [first]
    t.after(() => {
      for (const { near, far } of pairs) {
        near.destroy()
        far.destroy()
      }
    })
    pairs.push(...(await Promise.all(Array.from({ length: 8 }, () => loopback.pair()))))
    await stranger()
    const more = await Promise.all([stranger(), loopback.pair(), stranger(), loopback.pair(), stranger()])
    for (const made of more) if (made !== undefined) pairs.push(made)
    for (const [index, { near, far }] of pairs.entries()) {
      near.write(Buffer.from(`pair ${index}`))
      assert.equal((await far.read(5_000)).toString(), `pair ${index}`)
    }
    // Not events.once: it rejects on the reset that may come first.
    for (const socket of strangers) if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
    ending.abort()
    await assert.rejects(loopback.pair())
  })
})
