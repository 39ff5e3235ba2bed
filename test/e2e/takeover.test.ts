/** A relay that takes the place of a running one, as processes. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, cp, symlink } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { askRelay } from '../../src/control/client.ts'
import { HandoverDoor, handoverProblem } from '../../src/dataplane/handover.ts'
import { Wire } from '../agent/fake-relay.ts'
import { dialPort, startEcho } from '../agent/setup.ts'
import { Millrace } from './process.ts'
import { type RelayProcess, scratch, startAgent, startRelay, tunnelUrl, visit } from './stage.ts'

const problem = handoverProblem()
/** The user that nobody is, on any Linux. */
const nobody = 65_534
const options = { skip: problem === undefined ? false : problem }

/** The flags of a relay that takes over from one that `startRelay` started. */
function successor(t: TestContext, relay: RelayProcess, args: readonly string[] = [], folder?: string): Millrace {
  const flags = ['--tunnel-addr', relay.tunnel, '--http-addr', relay.http, '--state-dir', relay.state]
  const from = folder === undefined ? {} : { folder }
  return new Millrace(t, ['relay', '--takeover', ...flags, '--open', '--log-format', 'json', ...args], {}, from)
}

/** The sources in a folder of their own, without what was built of them. */
async function bareCheckout(t: TestContext): Promise<string> {
  const folder = await scratch(t)
  const root = fileURLToPath(new URL('../..', import.meta.url))
  await cp(join(root, 'src'), join(folder, 'src'), { recursive: true })
  for (const name of ['package.json', 'tsconfig.json']) await cp(join(root, name), join(folder, name))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

/** Visits every 5 ms; the function that it returns ends that and gives what all visits came to. */
function everyFiveMs(t: TestContext, one: () => Promise<string>): () => Promise<readonly string[]> {
  const results: Promise<string>[] = []
  const timer = setInterval(() => results.push(one().catch((error: unknown) => String(error))), 5)
  t.after(() => clearInterval(timer))
  return () => {
    clearInterval(timer)
    return Promise.all(results)
  }
}

/** What a service that sends everything back makes of a word. */
async function echoed(port: number): Promise<string> {
  const wire = new Wire(await dialPort(port))
  wire.socket.end('hello')
  const text = String(await wire.bytes(5))
  wire.socket.destroy()
  return text
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
    const echo = await startEcho(t)
    const agent = startAgent(t, relay, ['http', `${web.port}`, '--proto', 'http', '--subdomain', 'web'])
    const raw = startAgent(t, relay, ['tcp', `127.0.0.1:${echo}`])
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
    const visitor = new Wire(await dialPort(Number(rawUrl.port)))
    visitor.socket.write('before')
    assert.equal(String(await visitor.bytes(6)), 'before')
    // Visitors at 200 a second to each, from before the takeover until after it.
    const web200 = everyFiveMs(t, async () => String((await visit(url, relay.http)).status))
    const raw200 = everyFiveMs(t, () => echoed(Number(rawUrl.port)))
    await delay(300)
    const next = successor(t, relay)
    await next.line('relay.started')
    await relay.process.line('relay.left')
    await Promise.all([agent.line('tunnel.up', undefined, 2), raw.line('tunnel.up', undefined, 2)])
    await delay(500)
    const [pages, echoes] = await Promise.all([web200(), raw200()])
    assert.deepEqual([...new Set(pages)], ['200'])
    assert.deepEqual([...new Set(echoes)], ['hello'])
    for (const { length } of [pages, echoes]) assert.ok(length > 50, `${length} visitors`)
    // Both tunnels have their addresses, and the new relay serves them.
    assert.equal((await tunnelUrl(agent, 'http')).href, url.href)
    assert.equal(raw.of('tunnel.up')[1]?.['url'], rawUrl.href.replace(/\/$/, ''))
    assert.equal(await echoed(Number(rawUrl.port)), 'hello')
    // What ran before runs still, in the old process, which ends with it.
    visitor.socket.write('still')
    assert.equal(String(await visitor.bytes(5)), 'still')
    response.end(Buffer.alloc(100_000, 'b'))
    await ended
    assert.equal(Buffer.concat(got).length > 200_000, true)
    visitor.socket.destroy()
    assert.equal(await relay.process.exit(), 0)
    t.diagnostic(`${pages.length} visitors of the http tunnel and ${echoes.length} of the tcp tunnel, all served`)
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

  it('can be taken over from as well, again and again', async (t) => {
    const relay = await startRelay(t, ['--open'], { https: false })
    const echo = await startEcho(t)
    const agent = startAgent(t, relay, ['tcp', `127.0.0.1:${echo}`])
    const url = await tunnelUrl(agent, 'tcp')
    let last = relay.process
    for (const times of [2, 3, 4]) {
      const next = successor(t, relay)
      await next.line('relay.started')
      await agent.line('tunnel.up', ({ url: again }) => again === url.href.replace(/\/$/, ''), times)
      assert.equal(await last.exit(), 0)
      assert.equal(await echoed(Number(url.port)), 'hello')
      last = next
    }
    last.kill('SIGTERM')
    assert.equal(await last.exit(), 0)
  })

  it('leaves the running one as it was when it dies before it serves', async (t) => {
    const relay = await startRelay(t, ['--open'], { https: false })
    const echo = await startEcho(t)
    const agent = startAgent(t, relay, ['tcp', `127.0.0.1:${echo}`])
    const port = Number((await tunnelUrl(agent, 'tcp')).port)
    const path = join(relay.state, 'door-of-the-test')
    const door = HandoverDoor.open(path)
    assert.equal((await askRelay(join(relay.state, 'control.sock'), { type: 'takeover', door: path })).ok, true)
    const parcels = door.take()
    assert.equal(parcels.filter(({ socket }) => socket !== undefined).length, 3)
    for (const { socket } of parcels) socket?.close()
    door.close()
    for (let i = 0; i < 20; i++) assert.equal(await echoed(port), 'hello')
    assert.equal(agent.of('tunnel.up').length, 1)
    // Nor is the next one kept from it.
    const next = successor(t, relay)
    await agent.line('tunnel.up', undefined, 2)
    assert.equal(await relay.process.exit(), 0)
    assert.equal(await echoed(port), 'hello')
    next.kill('SIGTERM')
    assert.equal(await next.exit(), 0)
  })

  for (const role of ['tunnel', 'http', 'https']) {
    it(`leaves the running one as it was when the ${role} port that only it wants is taken`, async (t) => {
      const relay = await startRelay(t, ['--open'], { https: false })
      const web = await startWeb(t)
      const echo = await startEcho(t)
      const agent = startAgent(t, relay, ['http', `${web.port}`, '--proto', 'http', '--subdomain', 'web'])
      const url = await tunnelUrl(agent, 'http')
      const web200 = everyFiveMs(t, async () => String((await visit(url, relay.http)).status))
      const next = successor(t, relay, [`--${role}-addr`, `127.0.0.1:${echo}`])
      assert.equal(await next.exit(), 1)
      const reason = `127\\.0\\.0\\.1:${echo}: another program has it[^\\n]*--${role}-addr\\n$`
      assert.match(next.output.stderr, new RegExp(reason))
      assert.equal((await visit(url, relay.http)).status, 200)
      assert.deepEqual([...new Set(await web200())], ['200'])
      assert.equal(relay.process.of('relay.leaving').length, 0)
      assert.equal(agent.of('tunnel.up').length, 1)
      // Nor has it lost its control socket.
      const after = successor(t, relay)
      await after.line('relay.started')
      assert.equal(await relay.process.exit(), 0)
    })
  }

  const isRoot = process.geteuid?.() === 0
  it('gives nothing to another user', { skip: isRoot ? false : 'only root can be another user' }, async (t) => {
    const relay = await startRelay(t, ['--open'], { https: false })
    await relay.process.line('relay.started')
    const path = join(relay.state, 'control.sock')
    await askRelay(path, { type: 'status' })
    const ask = 'const s=require("node:net").connect(process.argv[1]);s.on("data",(d)=>process.stdout.write(d));'
    const program = `${ask}s.on("error",(e)=>console.log(e.code));s.write('{"type":"takeover","door":"/nowhere"}\\n')`
    const stranger = async (): Promise<string> => {
      const { stdout } = await promisify(execFile)(process.execPath, ['-e', program, path], {
        uid: nobody,
        gid: nobody,
      })
      return stdout.trim()
    }
    await chmod(relay.state, 0o755)
    assert.equal(await stranger(), 'EACCES')
    // Even with a mode that lets it in.
    await chmod(path, 0o666)
    assert.doesNotMatch(await stranger(), /ok/)
    assert.equal((await relay.process.line('control.stranger'))['user'], nobody)
    assert.equal((await askRelay(path, { type: 'status' })).ok, true)
  })
})

describe('without the addon', () => {
  const words = /the native addon is not there, and Node alone cannot pass sockets on\n$/

  it('a relay refuses to take over, and the running one to be taken over from, in one sentence', async (t) => {
    const folder = await bareCheckout(t)
    const bare = await startRelay(t, ['--open'], { https: false, folder })
    await bare.process.line('relay.started')
    const late = successor(t, bare, [], folder)
    assert.equal(await late.exit(), 1)
    assert.match(late.output.stderr, words)
    assert.equal(late.output.stderr.trim().split('\n').length, 1)
    if (problem === undefined) {
      const able = successor(t, bare)
      assert.equal(await able.exit(), 1)
      assert.match(able.output.stderr, words)
    }
    bare.process.kill('SIGTERM')
    assert.equal(await bare.process.exit(), 0)
  })
})
