/** Web tunnels through real processes. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { certificate, deadPort } from '../agent/setup.ts'
import { scratch, startAgent, startRelay, tunnelUrl, visit } from './stage.ts'

async function startWeb(t: TestContext, tls = false): Promise<number> {
  const answer: RequestListener = (request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (text: string) => {
      body += text
    })
    request.on('end', () => response.end(`${request.method} ${request.headers.host} ${body}`))
  }
  const server = tls ? createHttpsServer(certificate, answer) : createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

describe('a web tunnel', () => {
  it('serves visitors by their Host, over http and https', async (t) => {
    const relay = await startRelay(t, ['--domain', 'tunnels.localhost'])
    const agent = startAgent(t, relay, ['http', String(await startWeb(t)), '--subdomain', 'web'])
    const [http, https] = await Promise.all([tunnelUrl(agent, 'http'), tunnelUrl(agent, 'https')])
    assert.equal(http.host, `web.tunnels.localhost:${relay.http.split(':')[1]}`)
    assert.equal(https.host, `web.tunnels.localhost:${relay.https.split(':')[1]}`)

    const got = await visit(http, relay.http)
    assert.deepEqual([got.status, got.body], [200, `GET ${http.host} `])
    const ca = await readFile(join(relay.state, 'relay.crt'), 'utf8')
    const posted = await visit(https, relay.https, { method: 'POST', body: 'hello', ca })
    assert.deepEqual([posted.status, posted.body], [200, `POST ${https.host} hello`])
    const lost = await visit(new URL('http://other.tunnels.localhost'), relay.http)
    assert.equal(lost.status, 404)
  })

  it('asks visitors for the password of --auth, and never logs it', async (t) => {
    const relay = await startRelay(t)
    const agent = startAgent(t, relay, ['http', String(await startWeb(t)), '--proto', 'http', '--auth', 'ann:s3cr3t'])
    const url = await tunnelUrl(agent, 'http')
    assert.equal((await visit(url, relay.http)).status, 401)
    assert.equal((await visit(url, relay.http, { auth: 'ann:wrong' })).status, 401)
    assert.equal((await visit(url, relay.http, { auth: 'ann:s3cr3t' })).status, 200)
    for (const { output } of [agent, relay.process]) {
      assert.ok(!`${output.stdout}${output.stderr}`.includes('s3cr3t'))
    }
  })

  it('leads to an https service', async (t) => {
    const relay = await startRelay(t)
    const ca = join(await scratch(t), 'service.crt')
    await writeFile(ca, certificate.cert)
    const agent = startAgent(t, relay, ['http', `https://127.0.0.1:${await startWeb(t, true)}`, '--target-ca', ca])
    const got = await visit(await tunnelUrl(agent, 'http'), relay.http)
    assert.equal(got.status, 200)
  })

  it('names the address while the service is down', async (t) => {
    const relay = await startRelay(t)
    const target = `127.0.0.1:${await deadPort()}`
    const agent = startAgent(t, relay, ['http', target])
    const got = await visit(await tunnelUrl(agent, 'http'), relay.http)
    assert.equal(got.status, 502)
    assert.ok(got.body.includes(target), got.body)
  })

  it('serves http alone where the relay has no https, and pure https is refused', async (t) => {
    const relay = await startRelay(t, [], { https: false })
    const both = startAgent(t, relay, ['http', '1', '--subdomain', 'a'])
    const pure = startAgent(t, relay, ['http', '1', '--proto', 'https'])
    await tunnelUrl(both, 'http')
    assert.equal(await pure.exit(), 1)
    assert.match(pure.output.stderr, /^millrace: the relay refused: /)
    assert.equal(both.of('tunnel.up').length, 1)
    assert.equal(both.of('agent.disconnected').length, 0)
  })
})
