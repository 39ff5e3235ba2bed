/** Tunnels whose visitors speak TLS, through real processes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import { examine } from '../../src/cli/doctor-report.ts'
import { deadPort, startEcho } from '../agent/setup.ts'
import { makeCertificate, type TestCertificate } from '../dataplane/certificate.ts'
import { scratch, startAgent, startRelay, tunnelUrl, visit } from './stage.ts'

/** What a visitor sees who says something over TLS: the certificate's names, and what comes back. */
async function say(
  url: URL,
  front: string,
  text: string,
  ca: string,
): Promise<{ readonly names: string; readonly back: string }> {
  const port = Number(front.split(':')[1])
  const socket = tls.connect({ host: '127.0.0.1', port, servername: url.hostname, ca })
  await once(socket, 'secureConnect')
  const names = socket.getPeerCertificate().subjectaltname ?? ''
  let back = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    back += chunk
    if (back.length === text.length) socket.end()
  })
  socket.write(text)
  await once(socket, 'close')
  return { names, back }
}

async function startTlsEcho(t: TestContext, pair: TestCertificate): Promise<number> {
  const sockets = new Set<tls.TLSSocket>()
  const server = tls.createServer(pair, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function files(t: TestContext, pair: TestCertificate): Promise<readonly string[]> {
  const folder = await scratch(t)
  const [crt, key] = [join(folder, 'service.crt'), join(folder, 'service.key')]
  await writeFile(crt, pair.cert)
  await writeFile(key, pair.key)
  return ['--crt', crt, '--key', key]
}

const text = 'a visitor says something. '.repeat(8_000)

describe('a tls tunnel', () => {
  it('leads visitors to the TLS of the service', async (t) => {
    const relay = await startRelay(t)
    const pair = await makeCertificate(['mail.example'])
    const target = String(await startTlsEcho(t, pair))
    const agent = startAgent(t, relay, ['tls', target, '--hostname', 'mail.example'])
    const url = await tunnelUrl(agent, 'tls')
    assert.equal(url.href, `tls://mail.example:${relay.https.split(':')[1]}`)
    assert.deepEqual(await say(url, relay.https, text, pair.cert), { names: 'DNS:mail.example', back: text })
  })

  it('has TLS between relay and agent where either says --no-plain, or --no-allow-plain', async (t) => {
    for (const [theirs, ours] of [
      [['--no-allow-plain'], []],
      [[], ['--no-plain']],
    ] as const) {
      const relay = await startRelay(t, theirs)
      const pair = await makeCertificate(['mail.example'])
      const target = String(await startTlsEcho(t, pair))
      const agent = startAgent(t, relay, ['tls', target, '--hostname', 'mail.example', ...ours])
      assert.equal((await say(await tunnelUrl(agent, 'tls'), relay.https, text, pair.cert)).back, text)
      assert.equal((await relay.process.line('join.end'))['pathIn'], 'tls')
    }
  })

  for (const plain of [false, true]) {
    it(`ends at the agent with --crt and --key, ${plain ? 'all plain' : 'as it is by default'}`, async (t) => {
      const relay = await startRelay(t, plain ? ['--allow-plain'] : [])
      const pair = await makeCertificate(['mail.example'])
      const flags = ['--hostname', 'mail.example', ...(await files(t, pair)), ...(plain ? ['--plain'] : [])]
      const agent = startAgent(t, relay, ['tls', String(await startEcho(t)), ...flags])
      const url = await tunnelUrl(agent, 'tls')
      const visits = Array.from({ length: 3 }, () => say(url, relay.https, text, pair.cert))
      for (const visited of await Promise.all(visits)) {
        assert.deepEqual(visited, { names: 'DNS:mail.example', back: text })
      }
    })
  }

  it('is spliced at the relay', async (t) => {
    const relay = await startRelay(t)
    const pair = await makeCertificate(['mail.example'])
    const target = String(await startTlsEcho(t, pair))
    const agent = startAgent(t, relay, ['tls', target, '--hostname', 'mail.example'])
    const long = text.repeat(40)
    assert.equal((await say(await tunnelUrl(agent, 'tls'), relay.https, long, pair.cert)).back, long)
    const end = await relay.process.line('join.end')
    assert.notEqual(end['pathIn'], 'tls')
    assert.equal(Number(end['splicedIn']) + Number(end['splicedOut']) > 0, examine().splices, JSON.stringify(end))
  })

  it('resets visitors while the service is down', async (t) => {
    const relay = await startRelay(t)
    const agent = startAgent(t, relay, ['tls', String(await deadPort()), '--hostname', 'mail.example'])
    const url = await tunnelUrl(agent, 'tls')
    await assert.rejects(say(url, relay.https, text, ''), { code: 'ECONNRESET' })
    await agent.line('local.down')
  })

  it('is refused with a key of another certificate', async (t) => {
    const relay = await startRelay(t)
    const [one, other] = [await makeCertificate(['a.example']), await makeCertificate(['a.example'])]
    const agent = startAgent(t, relay, ['tls', '1', ...(await files(t, { cert: one.cert, key: other.key }))])
    assert.equal(await agent.exit(), 1)
    assert.match(agent.output.stderr, /^millrace: the certificate cannot be used: .*service\.key is not the key of/)
  })
})

describe('a tcp tunnel with --tls', () => {
  it('has its TLS ended by the relay', async (t) => {
    const certs = await scratch(t)
    const pair = await makeCertificate(['localhost'])
    await writeFile(join(certs, 'default.crt'), pair.cert)
    await writeFile(join(certs, 'default.key'), pair.key)
    const relay = await startRelay(t, ['--https-certs', certs])
    const agent = startAgent(t, relay, ['tcp', String(await startEcho(t)), '--tls'])
    const url = await tunnelUrl(agent, 'tls')
    assert.deepEqual(await say(url, `127.0.0.1:${url.port}`, text, pair.cert), { names: 'DNS:localhost', back: text })
  })
})

describe('an https tunnel', () => {
  it('has the certificate of its name; http visitors are sent to it, and are to stay there', async (t) => {
    const certs = await scratch(t)
    const pair = await makeCertificate(['*.shop.example'])
    await writeFile(join(certs, '_.shop.example.crt'), pair.cert)
    await writeFile(join(certs, '_.shop.example.key'), pair.key)
    const server = createServer((_, response) => response.end('hello'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const relay = await startRelay(t, ['--https-certs', certs, '--https-redirect', '--hsts', '600'])
    const target = String((server.address() as AddressInfo).port)
    const agent = startAgent(t, relay, ['https', target, '--hostname', 'www.shop.example'])
    const url = await tunnelUrl(agent, 'https')
    const sent = await visit(new URL(`http://${url.hostname}`), relay.http)
    assert.deepEqual([sent.status, sent.headers['location']], [308, url.href])
    const got = await visit(url, relay.https, { ca: pair.cert })
    assert.deepEqual([got.status, got.body], [200, 'hello'])
    assert.equal(got.headers['strict-transport-security'], 'max-age=600')
  })
})
