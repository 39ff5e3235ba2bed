/** A relay that takes the place of a running one, as processes. */
import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { handoverProblem } from '../../src/dataplane/handover.ts'
import { dialPort, startService } from '../agent/setup.ts'
import { Millrace } from './process.ts'
import { type RelayProcess, scratch, startAgent, startRelay, tunnelUrl, visit } from './stage.ts'

const problem = handoverProblem()
const options = { skip: problem === undefined ? false : problem }

/** The flags of a relay that takes over from one that `startRelay` started. */
function successor(t: TestContext, relay: RelayProcess, args: readonly string[] = []): Millrace {
  const flags = ['--tunnel-addr', relay.tunnel, '--http-addr', relay.http, '--state-dir', relay.state]
  return new Millrace(t, ['relay', '--takeover', ...flags, '--open', '--log-format', 'json', ...args])
}

interface WebService {
  readonly port: number
  /** Answers to `GET /slow`, which the test writes. */
  readonly slow: Promise<ServerResponse>
}

async function startWeb(t: TestContext): Promise<WebService> {
  let begun: (response: ServerResponse) => void = () => undefined
  const slow = new Promise<ServerResponse>((resolve) => {
    begun = resolve
  })
  const server = createServer((request, response) => {
    if (request.url === '/slow') begun(response)
    else response.end('fine')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  assert(typeof address === 'object' && address !== null)
  return { port: address.port, slow }
}

describe('a relay that takes over', options, () => {
  it('cuts no download and loses no visitor at 200 a second', async (t) => {
    const relay = await startRelay(t, ['--open'], { https: false })
    const web = await startWeb(t)
    const service = await startService(t)
    const agent = startAgent(t, relay, ['http', `${web.port}`, '--proto', 'http', '--subdomain', 'web'])
    const raw = startAgent(t, relay, ['tcp', `127.0.0.1:${service.port}`])
    const [url, rawUrl] = await Promise.all([tunnelUrl(agent, 'http'), tunnelUrl(raw, 'tcp')])
    // A download through either tunnel that goes on over the takeover.
    const [host = '', port = ''] = relay.http.split(':')
    const download = connect(Number(port), host)
    const got: Buffer[] = []
    const ended = new Promise((resolve, reject) => download.once('end', resolve).once('error', reject))
    download.on('data', (part: Buffer) => got.push(part))
    download.write(`GET /slow HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`)
    const response = await web.slow
    response.writeHead(200, { 'content-length': 200_000 })
    response.write(Buffer.alloc(100_000, 'a'))
    const visitor = await dialPort(Number(rawUrl.port))
    visitor.write('before')
    const inside = await service.visitors.next()
    assert.equal(String(await inside.bytes(6)), 'before')
    // Visitors at 200 a second, from before the takeover until after it.
    const answers: Promise<number>[] = []
    const failures: unknown[] = []
    const every = setInterval(() => {
      answers.push(
        visit(url, relay.http).then(
          ({ status }) => status,
          (error: unknown) => {
            failures.push(error)
            return 0
          },
        ),
      )
    }, 5)
    t.after(() => clearInterval(every))
    await delay(300)
    const next = successor(t, relay)
    await next.line('relay.started')
    await relay.process.line('relay.left')
    await Promise.all([agent.line('tunnel.up', undefined, 2), raw.line('tunnel.up', undefined, 2)])
    await delay(500)
    clearInterval(every)
    const statuses = await Promise.all(answers)
    assert.deepEqual(failures, [])
    assert.ok(statuses.length > 100, `${statuses.length} visitors`)
    assert.deepEqual([...new Set(statuses)], [200])
    // Both tunnels have their addresses, and the new relay serves them.
    assert.equal((await tunnelUrl(agent, 'http')).href, url.href)
    assert.equal(raw.of('tunnel.up')[1]?.['url'], rawUrl.href.replace(/\/$/, ''))
    const late = await dialPort(Number(rawUrl.port))
    late.on('error', () => undefined)
    late.write('after')
    assert.equal(String(await (await service.visitors.next()).bytes(5)), 'after')
    // What ran before runs still, in the old process, which ends with it.
    visitor.write('still')
    assert.equal(String(await inside.bytes(5)), 'still')
    response.end(Buffer.alloc(100_000, 'b'))
    await ended
    assert.equal(Buffer.concat(got).length > 200_000, true)
    visitor.destroy()
    inside.socket.destroy()
    assert.equal(await relay.process.exit(), 0)
    t.diagnostic(`${statuses.length} visitors over the takeover, all 200`)
  })

  it('says so when no relay runs', async (t) => {
    const state = await scratch(t)
    const flags = ['--tunnel-addr', '127.0.0.1:0', '--state-dir', state, '--open', '--log-format', 'json']
    const alone = new Millrace(t, ['relay', '--takeover', ...flags])
    assert.equal(await alone.exit(), 1)
    assert.match(alone.output.stderr, /no relay answers at [^\n]*control\.sock[^\n]*\n$/)
  })

  it('has its signals and its control socket from then on', async (t) => {
    const relay = await startRelay(t, ['--open'], { https: false })
    const next = successor(t, relay)
    await next.line('relay.started')
    assert.equal(await relay.process.exit(), 0)
    const status = new Millrace(t, ['status', '--state-dir', relay.state])
    assert.equal(await status.exit(), 0)
    assert.ok(status.output.stdout.includes(`pid: ${next.pid}\n`), status.output.stdout)
    next.kill('SIGTERM')
    assert.equal(await next.exit(), 0)
  })
})

it('a takeover without the addon is refused in one sentence', async (t) => {
  if (problem === undefined) {
    t.diagnostic('the addon is here: the refusal itself is tested where it is not')
    return
  }
  const relay = await startRelay(t, ['--open'], { https: false })
  const next = successor(t, relay)
  assert.equal(await next.exit(), 1)
  assert.equal(next.output.stderr.trim().split('\n').length, 1)
})
