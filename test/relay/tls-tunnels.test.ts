/** Tunnels whose visitors speak TLS: passed through by name, or ended at the relay on a port of their own. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import { makeCertificate } from '../dataplane/certificate.ts'
import { CertificateFolder } from './certificate-folder.ts'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed } from './relay-bed.ts'
import type { TestAgent } from './test-agent.ts'

const extensions = ['tls', 'terminate', 'origin', 'close']

/** A TLS service on loopback that answers each line with what it was asked for. */
async function startService(t: TestContext, names: readonly string[]): Promise<number> {
  const pair = await makeCertificate(names)
  const server = tls.createServer(pair, (socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (text) => socket.end(`${socket.servername} ${text}`))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as net.AddressInfo).port
}

/** Leads the next visitor to a service, as an agent does that knows nothing of TLS. Resolves with StartProxy's Proto. */
async function carry(agent: TestAgent, port: number): Promise<string | undefined> {
  const { proxy, start } = await agent.visitor()
  const service = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  service.write(proxy.unread)
  proxy.socket.pipe(service).pipe(proxy.socket)
  service.on('error', () => proxy.destroy())
  proxy.socket.on('error', () => service.destroy())
  return start.Proto
}

describe('tls tunnels', () => {
  it('carry TLS to the service untouched: its certificate, its ALPN, the relay has no part in it', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions })
    const { Url, Protocol } = await agent.ask({ Protocol: 'tls', Hostname: 'mail.example' })
    assert.deepEqual([Url, Protocol], [`tls://mail.example:${bed.port('https')}`, 'tls'])
    const carried = carry(agent, await startService(t, ['mail.example']))
    const visitor = await FrameSocket.tls(bed.port('https'), { servername: 'mail.example' })
    assert.equal((visitor.socket as tls.TLSSocket).getPeerCertificate().subjectaltname, 'DNS:mail.example')
    visitor.write('hello')
    assert.equal(await visitor.rest(), 'mail.example hello')
    assert.equal(await carried, 'tls')
    visitor.end()
    await bed.tap.until('join.end', { url: Url, reason: 'eof' })
  })

  it('get plain proxy connections by default, which serve no other tunnel, and are spliced', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: [...extensions, 'ticket', 'passthrough'] })
    const first = await agent.control.next('ReqProxy')
    assert.equal(first.Plain, undefined)
    const secret = await agent.tcp({ Encrypt: false })
    assert.equal((await agent.ask({ Protocol: 'tls', Hostname: 'mail.example', Encrypt: false })).Error, '')
    const { Plain, Tickets = [] } = await agent.control.next('ReqProxy')
    assert.equal(Plain, true)
    const [ticket = ''] = Tickets
    const visitor = await FrameSocket.plain(secret.port)
    t.after(() => visitor.destroy())
    const plain = await agent.openProxy({ ticket, plain: true })
    // A ticket for TLS is none for a plain connection.
    const refused = await agent.openProxy({ ticket: first.Tickets?.[0] ?? '', plain: true })
    assert.equal(await refused.ended(), 'fin')
    await bed.tap.until('connection.refused', { code: 'ERR_PROXY_REFUSED' })

    const other = tls.connect({ port: bed.port('https'), host: '127.0.0.1', servername: 'mail.example' })
    other.on('error', () => undefined)
    t.after(() => other.destroy())
    const { Url, Proto } = await plain.next('StartProxy')
    assert.deepEqual([Url.startsWith('tls://mail.example'), Proto], [true, 'tls'])
    assert.equal((await plain.read(1)).charCodeAt(0), 22, 'the hello follows')
    plain.end()
    assert.notEqual((await bed.tap.until('join.end', { url: Url }))['pathIn'], 'tls')
  })

  it('have TLS on the way to the agent where the agent wants it, or the relay', async (t) => {
    for (const [allowPlain, Encrypt, offered] of [
      ['passthrough', true, ['ticket', 'passthrough']],
      [false, false, ['ticket', 'passthrough']],
      ['passthrough', false, ['passthrough']],
    ] as const) {
      const bed = await RelayBed.start(t, { allowPlain })
      const agent = await bed.agent({ extensions: [...extensions, ...offered] })
      await agent.control.next('ReqProxy')
      const { Url } = await agent.ask({ Protocol: 'tls', Hostname: 'mail.example', Encrypt })
      const carried = carry(agent, await startService(t, ['mail.example']))
      const visitor = await FrameSocket.tls(bed.port('https'), { servername: 'mail.example' })
      visitor.write('hello')
      assert.equal(await visitor.rest(), 'mail.example hello')
      assert.equal(await carried, 'tls')
      visitor.end()
      assert.equal((await bed.tap.until('join.end', { url: Url }))['pathIn'], 'tls')
    }
  })

  it('and https by one name exclude each other; http beside them is another port', async (t) => {
    const bed = await RelayBed.start(t)
    const [one, two] = [await bed.agent({ extensions }), await bed.agent({ extensions })]
    const Hostname = 'a.example'
    assert.equal((await one.ask({ Protocol: 'tls', Hostname })).Error, '')
    assert.match((await one.ask({ Protocol: 'https', Hostname })).Error, /already registered/)
    assert.match((await one.ask({ Protocol: 'tls', Hostname })).Error, /already registered/)
    assert.match((await two.ask({ Protocol: 'http', Hostname })).Error, /already registered/)
    assert.equal((await one.ask({ Protocol: 'http', Hostname })).Error, '')
    assert.equal((await one.ask({ Protocol: 'https', Hostname: 'b.example' })).Error, '')
    assert.match((await one.ask({ Protocol: 'tls', Hostname: 'b.example' })).Error, /already registered/)
    assert.match((await one.ask({ Protocol: 'https+tls', Subdomain: 'c' })).Error, /no tunnel of that kind/)
  })

  it('get names of their own, the same ones again', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions })
    const { Url } = await agent.ask({ Protocol: 'tls' })
    assert.match(Url, /^tls:\/\/[a-z0-9]{10}\.localhost:\d+$/)
    agent.control.send({ type: 'CloseTunnel', Url })
    await agent.control.next('TunnelClosed')
    assert.equal((await agent.ask({ Protocol: 'tls' })).Url, Url)
  })

  it('need the extension, and an https front', async (t) => {
    const bed = await RelayBed.start(t)
    const old = await bed.agent()
    assert.match((await old.ask({ Protocol: 'tls' })).Error, /no tunnel of that kind/)
    const bare = await RelayBed.start(t, {}, ['httpsAddr'])
    const agent = await bare.agent({ extensions })
    assert.match((await agent.ask({ Protocol: 'http+tls' })).Error, /does not listen for tls visitors/)
  })

  it('whose agent has no connection left reset the visitor', async (t) => {
    const bed = await RelayBed.start(t, { limits: { waiterTimeoutMs: 50 } })
    const agent = await bed.agent({ extensions })
    await agent.ask({ Protocol: 'tls', Hostname: 'a.example' })
    const visitor = tls.connect({ port: bed.port('https'), host: '127.0.0.1', servername: 'a.example' })
    const [error] = (await once(visitor, 'error')) as [NodeJS.ErrnoException]
    assert.equal(error.code, 'ECONNRESET')
    await bed.tap.until('visitor.refused', { code: 'ERR_POOL_TIMEOUT' })
  })
})

describe('tcp tunnels with Terminate', () => {
  it('speak TLS with visitors and plain text with the agent, by the certificate of the name', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('db.example', ['db.example'])
    const bed = await RelayBed.start(t, { httpsCerts: folder.path })
    const agent = await bed.agent({ extensions })
    const { url, port } = await agent.tcp({ Terminate: true })
    assert.equal(url, `tls://localhost:${port}`)
    for (const [servername, names] of [
      ['db.example', /^DNS:db\.example$/],
      ['', /DNS:localhost/],
      ['any.example', /DNS:localhost/],
    ] as const) {
      const visitor = await FrameSocket.tls(port, { servername })
      assert.match((visitor.socket as tls.TLSSocket).getPeerCertificate().subjectaltname ?? '', names)
      visitor.write('ping')
      const { proxy, start } = await agent.visitor()
      assert.deepEqual([start.Url, start.Proto], [url, 'tcp'])
      assert.equal(await proxy.read(4), 'ping')
      proxy.write('pong')
      proxy.end()
      assert.equal(await visitor.rest(), 'pong')
    }
  })

  it('without the extension the field means nothing', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['origin'] })
    const { url, port } = await agent.tcp({ Terminate: true })
    assert.match(url, /^tcp:/)
    const visitor = await FrameSocket.plain(port)
    visitor.write('ping')
    const { proxy } = await agent.visitor()
    assert.equal(await proxy.read(4), 'ping')
    visitor.destroy()
  })
})
