import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { StreamDataPlane } from '../../../src/dataplane/stream/data-plane.ts'
import type { Endpoint, TlsOptions, TlsTrust } from '../../../src/dataplane/types.ts'
import { makeCertificate, type TestCertificate } from '../certificate.ts'
import { acceptPair, deferred, failure, readAll } from '../pair.ts'

const plane = new StreamDataPlane()
const certificate = await makeCertificate(['relay.test', '127.0.0.1', '::1'])

/** A TLS client endpoint and server endpoint of the data plane, connected to each other. */
async function securedPair(
  client: { readonly serverName: string; readonly trust: TlsTrust },
  server: TestCertificate = certificate,
): Promise<readonly [Endpoint, Endpoint]> {
  const { promise, resolve } = deferred<() => Promise<Endpoint>>()
  const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, ([endpoint]) => {
    if (endpoint === undefined) return
    const secured = plane.secure(endpoint, { role: 'server', ...server })
    secured.catch(() => {})
    resolve(() => secured)
  })
  if (listener.address.family === 'unix') throw new Error('expected an IP address')
  const plain = await plane.dial(listener.address)
  const secured = plane.secure(plain, { role: 'client', ...client })
  try {
    return [await secured, await (await promise)()]
  } finally {
    await listener.close()
  }
}

const trusted: TlsTrust = { kind: 'ca', pem: certificate.cert }

/** What an endpoint receives until its peer ends. */
async function drain(endpoint: Endpoint): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (;;) {
    const chunk = await endpoint.read(10_000)
    if (chunk.length === 0) return Buffer.concat(chunks)
    chunks.push(chunk)
  }
}

test('a self-signed certificate given as the authority is trusted, and SNI arrives', async () => {
  const [client, server] = await securedPair({ serverName: 'relay.test', trust: trusted })
  assert.equal(server.serverName, 'relay.test')
  assert.deepEqual([client.encrypted, server.encrypted], [true, true])
  client.write(Buffer.from('ping'))
  assert.equal(String(await server.peek(4, 5_000)), 'ping')
  client.destroy()
  server.destroy()
})

test('IP addresses are checked and not sent as SNI', async () => {
  const [client, server] = await securedPair({ serverName: '127.0.0.1', trust: trusted })
  assert.equal(server.serverName, '')
  client.destroy()
  server.destroy()
})

test('each failing check is a sentence of its own', async () => {
  const expired = await makeCertificate(['relay.test'], -1)
  const attempts: [string, TlsTrust, TestCertificate, RegExp][] = [
    ['other.test', trusted, certificate, /other names.*other\.test/],
    ['127.0.0.2', trusted, certificate, /other names.*127\.0\.0\.2/],
    ['relay.test', { kind: 'system' }, certificate, /self-signed/],
    ['relay.test', { kind: 'ca', pem: expired.cert }, expired, /expired/],
  ]
  for (const [serverName, trust, server, message] of attempts) {
    await assert.rejects(securedPair({ serverName, trust }, server), { code: 'ERR_TLS', message })
  }
  const [client, server] = await securedPair({ serverName: 'other.test', trust: { kind: 'none' } }, expired)
  client.destroy()
  server.destroy()
})

test('half-close works on TLS in both roles', async () => {
  const [client, server] = await securedPair({ serverName: 'relay.test', trust: trusted })
  const [a, b] = [await acceptPair(plane), await acceptPair(plane)]
  // a.peer – a – client – server – b – b.peer
  const left = plane.join(a.endpoint, client)
  const right = plane.join(server, b.endpoint)
  assert.deepEqual(left.path, { aToB: 'tls', bToA: 'tls' })
  const upload = randomBytes(1_500_000)
  const download = randomBytes(1_200_000)
  a.peer.end(upload)
  assert.ok((await readAll(b.peer)).equals(upload))
  b.peer.end(download)
  assert.ok((await readAll(a.peer)).equals(download))
  for (const result of await Promise.all([left.done, right.done])) {
    assert.deepEqual([result.reason, result.aToB, result.bToA], ['eof', 1_500_000n, 1_200_000n])
  }
})

test('a reset below TLS passes through', async () => {
  const [client, server] = await securedPair({ serverName: 'relay.test', trust: trusted })
  const [a, b] = [await acceptPair(plane), await acceptPair(plane)]
  const left = plane.join(a.endpoint, client)
  const right = plane.join(server, b.endpoint)
  const gone = failure(b.peer)
  const first = once(b.peer, 'data')
  a.peer.write('x')
  await first
  a.peer.resetAndDestroy()
  assert.equal(await gone, 'ECONNRESET')
  for (const result of await Promise.all([left.done, right.done])) {
    assert.deepEqual([result.reason, result.errno, result.aToB], ['reset', 'ECONNRESET', 1n])
  }
})

test('bytes read before the handshake belong to it', async () => {
  const { promise, resolve } = deferred<Endpoint>()
  const listener = await plane.listen({ host: '127.0.0.1', port: 0 }, {}, ([endpoint]) => endpoint && resolve(endpoint))
  if (listener.address.family === 'unix') throw new Error('expected an IP address')
  const client = connectTls({ ...listener.address, ca: certificate.cert, servername: 'relay.test' })
  client.write('hello')
  const plain = await promise
  assert.equal((await plain.peek(3, 5_000))[0], 0x16)
  const first = await plain.read(5_000, 2)
  plain.unread(first)
  const server = await plane.secure(plain, { role: 'server', ...certificate })
  assert.equal(String(await server.peek(5, 5_000)), 'hello')
  client.end(' world')
  assert.equal(String(await drain(server)), 'hello world')
  server.destroy()
  await once(client, 'close')
  await listener.close()
})

test('what is no TLS, a peer that leaves and a silent one are rejected', async () => {
  const options: TlsOptions = { role: 'server', ...certificate, handshakeTimeoutMs: 100 }
  const plainText = await acceptPair(plane)
  plainText.peer.write('GET / HTTP/1.1\r\n\r\n')
  await assert.rejects(plane.secure(plainText.endpoint, options), { code: 'ERR_TLS', message: /plain HTTP/ })
  const leaving = await acceptPair(plane)
  leaving.peer.end()
  await assert.rejects(plane.secure(leaving.endpoint, options), { code: 'ERR_TLS', message: /closed the connection/ })
  const resetting = await acceptPair(plane)
  const secured = plane.secure(resetting.endpoint, options)
  resetting.peer.resetAndDestroy()
  await assert.rejects(secured, { code: 'ERR_TLS' })
  const silent = await acceptPair(plane)
  await assert.rejects(plane.secure(silent.endpoint, options), { code: 'ERR_TLS_TIMEOUT' })
})

test('ALPN: nothing in common fails', async () => {
  const { endpoint, peer } = await acceptPair(plane)
  const client = connectTls({ socket: peer, ca: certificate.cert, servername: 'relay.test', ALPNProtocols: ['h2'] })
  client.on('error', () => {})
  await assert.rejects(plane.secure(endpoint, { role: 'server', ...certificate, alpn: ['http/1.1'] }), {
    code: 'ERR_TLS',
    message: /ALPN/,
  })
})

test('garbage after the handshake resets the endpoint and nothing else', async () => {
  const server = createTlsServer({ ...certificate })
  server.on('tlsClientError', () => {})
  const { endpoint, peer } = await acceptPair(plane)
  const client = connectTls({ socket: peer, ca: certificate.cert, servername: 'relay.test' })
  client.on('error', () => {})
  const secured = await plane.secure(endpoint, { role: 'server', ...certificate })
  const { promise, resolve } = deferred<string>()
  secured.onClosed(resolve)
  peer.write('this is no record')
  assert.equal(await promise, 'reset')
  await assert.rejects(secured.read(5_000), { code: 'ERR_ENDPOINT_RESET' })
  client.destroy()
})

test('no endpoint is left behind', async () => {
  const probe = connect(1, '127.0.0.1')
  await once(probe, 'error')
  for (let turn = 0; turn < 200 && plane.stats().endpoints > 0; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  assert.equal(plane.stats().endpoints, 0)
})
