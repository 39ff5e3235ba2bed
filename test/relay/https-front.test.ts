/** The https front: which certificate, which tunnel, and who is turned away how. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { Duplex } from 'node:stream'
import { describe, it } from 'node:test'
import tls from 'node:tls'
import { CertificateFolder } from './certificate-folder.ts'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed } from './relay-bed.ts'
import type { TestAgent } from './test-agent.ts'

const page = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello'

/** Answers every visitor with a page, until the agent goes. */
function serve(agent: TestAgent, answer = page): void {
  const run = async (): Promise<void> => {
    for (;;) {
      const { proxy } = await agent.visitor()
      proxy.write(answer)
      proxy.end()
    }
  }
  run().catch(() => undefined)
}

/** What a request gets over TLS with this SNI ('' = none). */
async function get(port: number, servername: string, host: string): Promise<string> {
  const visitor = await FrameSocket.tls(port, { servername })
  visitor.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  return await visitor.rest()
}

/** The names of the certificate that a visitor is shown. */
async function namesAt(port: number, servername: string): Promise<string> {
  const visitor = await FrameSocket.tls(port, { servername })
  const { subjectaltname = '' } = (visitor.socket as tls.TLSSocket).getPeerCertificate()
  visitor.destroy()
  return subjectaltname
}

async function failure(port: number, options: tls.ConnectionOptions): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  return String(error.code)
}

/** The bytes that a TLS client begins with. */
async function helloBytes(options: tls.ConnectionOptions): Promise<Buffer> {
  return await new Promise((resolve) => {
    const wire = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _, done) => {
        resolve(chunk)
        done()
      },
    })
    tls.connect({ socket: wire, ...options }).on('error', () => undefined)
  })
}

/** A socket's stream that sends every byte by itself. */
function dripping(socket: net.Socket): Duplex {
  socket.setNoDelay(true)
  const wire = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _, done) => {
      const step = (at: number): void => {
        if (at === chunk.length) done()
        else socket.write(chunk.subarray(at, at + 1), () => setImmediate(step, at + 1))
      }
      step(0)
    },
    final: (done) => socket.end(done),
  })
  socket.on('data', (chunk) => wire.push(chunk)).on('end', () => wire.push(null))
  return wire
}

describe('the https front', () => {
  it('shows the certificate of the name asked for: its own, the wildcard, the default, the relay’s', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('shop.example', ['shop.example'])
    await folder.add('_.shop.example', ['*.shop.example'])
    const bed = await RelayBed.start(t, { httpsCerts: folder.path })
    const port = bed.port('https')
    assert.equal(await namesAt(port, 'shop.example'), 'DNS:shop.example')
    assert.equal(await namesAt(port, 'SHOP.example'), 'DNS:shop.example')
    assert.equal(await namesAt(port, 'a.shop.example'), 'DNS:*.shop.example')
    assert.match(await namesAt(port, 'localhost'), /DNS:localhost/)
    assert.match(await namesAt(port, ''), /DNS:localhost/)
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'https', Hostname: 'other.example' })
    assert.match(await namesAt(port, 'other.example'), /DNS:localhost/)
    await folder.add('default', ['default.example'])
    await bed.tap.until('cert.reloaded')
    for (const name of ['', 'other.example']) assert.equal(await namesAt(port, name), 'DNS:default.example')
    // The tunnel port has a certificate of its own.
    assert.match(await namesAt(bed.port('tunnel'), 'other.example'), /DNS:localhost/)
  })

  it('speaks no TLS older than the settings allow, nor does the tunnel port', async (t) => {
    const bed = await RelayBed.start(t, { tlsMinVersion: 'TLSv1.3' })
    for (const role of ['https', 'tunnel'] as const) {
      const options = { servername: 'localhost', maxVersion: 'TLSv1.2' } as const
      assert.equal(await failure(bed.port(role), options), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', role)
      assert.match(await namesAt(bed.port(role), 'localhost'), /DNS:localhost/)
    }
  })

  it('a name that is nobody’s gets the alert unrecognized_name, and a clean end', async (t) => {
    const bed = await RelayBed.start(t)
    assert.equal(await failure(bed.port('https'), { servername: 'nobody.example' }), 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME')
    const raw = await FrameSocket.plain(bed.port('https'))
    raw.write(await helloBytes({ servername: 'nobody.example' }))
    assert.equal(Buffer.from(await raw.rest(), 'latin1').toString('hex'), '15030300020270')
    assert.equal(await raw.ended(), 'fin')
    await bed.tap.until('visitor.refused', { code: 'ERR_SERVER_NAME' })
  })

  it('a name with a certificate and no tunnel gets a page that says so', async (t) => {
    const bed = await RelayBed.start(t)
    assert.match(await get(bed.port('https'), 'web.localhost', 'web.localhost'), /^HTTP\/1\.1 404 /)
  })

  it('a hello in pieces of one byte is as good as any', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'https', Subdomain: 'web' })
    serve(agent)
    const raw = net.connect({ port: bed.port('https'), host: '127.0.0.1' })
    await once(raw, 'connect')
    const socket = tls.connect({ socket: dripping(raw), servername: 'web.localhost', rejectUnauthorized: false })
    const visitor = new FrameSocket(socket, raw)
    visitor.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    assert.equal(await visitor.rest(), page)
    raw.destroy()
  })

  it('limits.client_hello_bytes: a larger hello gets the alert decode_error', async (t) => {
    const bed = await RelayBed.start(t, { limits: { clientHelloBytes: 512 } })
    const port = bed.port('https')
    const alpn = Array.from({ length: 20 }, (_, i) => `${i}`.padStart(40, 'x'))
    assert.equal(await failure(port, { ALPNProtocols: alpn }), 'ERR_SSL_TLSV1_ALERT_DECODE_ERROR')
    await bed.tap.until('visitor.refused', { code: 'ERR_CLIENT_HELLO_TOO_LARGE' })
  })

  it('who speaks no TLS gets no byte, and who leaves without a word no log line', async (t) => {
    const bed = await RelayBed.start(t)
    const quiet = await FrameSocket.plain(bed.port('https'))
    quiet.end()
    await quiet.ended()
    const visitor = await FrameSocket.plain(bed.port('https'))
    visitor.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    assert.equal(await visitor.rest(), '')
    await bed.tap.until('visitor.refused', { code: 'ERR_CLIENT_HELLO' })
    assert.equal(bed.tap.all('visitor.refused').length, 1)
  })

  it('garbage after the record’s header gets the alert decode_error', async (t) => {
    const bed = await RelayBed.start(t)
    const visitor = await FrameSocket.plain(bed.port('https'))
    visitor.write(Buffer.concat([Buffer.from([22, 3, 1, 0, 8, 2]), Buffer.alloc(7)]))
    assert.equal(Buffer.from(await visitor.rest(), 'latin1').toString('hex'), '15030300020232')
  })

  it('limits.pending_visitors: beyond it a reset; a stop ends who never said hello', async (t) => {
    const bed = await RelayBed.start(t, { limits: { pendingVisitors: 1 } })
    const first = await FrameSocket.plain(bed.port('https'))
    first.write(Buffer.from([22]))
    const second = await FrameSocket.plain(bed.port('https'))
    assert.equal(await second.ended(), 'reset')
    await bed.tap.until('visitor.refused', { code: 'ERR_VISITOR_LIMIT' })
    const started = performance.now()
    const stopped = bed.relay.stop(60_000)
    await first.ended()
    first.destroy()
    await stopped
    assert(performance.now() - started < 30_000)
  })

  it('a certificate changes under open connections', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('shop.example', ['shop.example', 'first'])
    const bed = await RelayBed.start(t, { httpsCerts: folder.path })
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'https', Hostname: 'shop.example' })
    const port = bed.port('https')
    const idle = await FrameSocket.tls(port, { servername: 'shop.example' })
    const joined = await FrameSocket.tls(port, { servername: 'shop.example' })
    const request = 'GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n'
    joined.write(request)
    const { proxy } = await agent.visitor()

    await folder.add('shop.example', ['shop.example', 'second'])
    assert.deepEqual((await bed.tap.until('cert.reloaded'))['names'], ['shop.example'])
    assert.equal(await namesAt(port, 'shop.example'), 'DNS:shop.example, DNS:second')

    proxy.write(page)
    proxy.end()
    assert.equal(await joined.rest(), page)
    serve(agent)
    idle.write(request)
    assert.equal(await idle.rest(), page)
  })

  it('a Host of another agent than the name’s gets a 421; one of the same agent, or without a name, is served', async (t) => {
    const bed = await RelayBed.start(t)
    const [one, two] = [await bed.agent(), await bed.agent()]
    await one.ask({ Protocol: 'https', Subdomain: 'a' })
    await one.ask({ Protocol: 'https', Subdomain: 'b' })
    await two.ask({ Protocol: 'https', Subdomain: 'c' })
    serve(one)
    const port = bed.port('https')
    assert.match(await get(port, 'c.localhost', 'a.localhost'), /^HTTP\/1\.1 421 /)
    assert.match(await get(port, 'free.localhost', 'a.localhost'), /^HTTP\/1\.1 421 /)
    assert.equal(await get(port, 'a.localhost', 'b.localhost'), page)
    assert.equal(await get(port, 'A.localhost', 'a.localhost:8443'), page)
    assert.equal(await get(port, '', 'a.localhost'), page)
  })
})
