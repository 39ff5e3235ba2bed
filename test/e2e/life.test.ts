/** How processes start, come back and end. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Wire } from '../agent/fake-relay.ts'
import { dialPort, startEcho, startService } from '../agent/setup.ts'
import { Millrace } from './process.ts'
import { relayFlags, scratch, startAgent, startRelay, token, tunnelUrl } from './stage.ts'

describe('agents and relays', () => {
  it('meet again at the same URL after the relay was killed', async (t) => {
    // Below the ports that the system gives to outgoing connections, one of which could take the tunnel's meanwhile.
    const ports = ['--tcp-ports', '20000-29999']
    const relay = await startRelay(t, ports)
    const web = startAgent(t, relay, ['http', '1', '--proto', 'http'])
    const service = await startService(t)
    const raw = startAgent(t, relay, ['tcp', `127.0.0.1:${service.port}`])
    const urls = await Promise.all([tunnelUrl(web, 'http'), tunnelUrl(raw, 'tcp')])
    relay.process.kill('SIGKILL')
    await relay.process.exit()
    await Promise.all([web.line('agent.disconnected'), raw.line('agent.disconnected')])
    await startRelay(t, ports, { again: relay })
    const again = await Promise.all([web.line('tunnel.up', undefined, 2), raw.line('tunnel.up', undefined, 2)])
    assert.deepEqual(
      again.map(({ url }) => url),
      urls.map(({ href }) => href.replace(/\/$/, '')),
    )
    const visitor = await dialPort(Number(urls[1].port))
    // The processes are killed at the end: what is cut off without TLS's end is a reset.
    visitor.on('error', () => undefined)
    visitor.end('back')
    assert.equal(String(await (await service.visitors.next()).rest()), 'back')
  })

  it('part with exit code 1 and a sentence when the token is wrong', async (t) => {
    const relay = await startRelay(t)
    const secret = 'not-the-token-4711'
    const agent = new Millrace(t, ['tcp', '1', ...relayFlags(relay)], { MILLRACE_TOKEN: secret })
    assert.equal(await agent.exit(), 1)
    const { stdout, stderr } = agent.output
    assert.match(stderr, /^millrace: the relay refused: [^\n]+\n$/)
    for (const text of [stdout, stderr, relay.process.output.stdout]) assert.ok(!text.includes(secret))
  })

  it('take the token from a file or a flag', async (t) => {
    const relay = await startRelay(t)
    const file = join(await scratch(t), 'token')
    await writeFile(file, `${token}\n`, { mode: 0o600 })
    const byFile = new Millrace(t, ['tcp', '1', '--token-file', file, ...relayFlags(relay)])
    const byFlag = new Millrace(t, ['tcp', '1', '--token', token, ...relayFlags(relay)])
    await Promise.all([byFile.line('tunnel.up'), byFlag.line('tunnel.up')])
  })

  it('part with exit code 1 when the name is taken', async (t) => {
    const relay = await startRelay(t)
    const first = startAgent(t, relay, ['http', '1', '--subdomain', 'mine'])
    await first.line('tunnel.up')
    const second = startAgent(t, relay, ['http', '1', '--subdomain', 'mine'])
    assert.equal(await second.exit(), 1)
    assert.match(second.output.stderr, /mine\.localhost/)
  })

  it('part with exit code 1 when the certificate is not trusted', async (t) => {
    const relay = await startRelay(t)
    const agent = new Millrace(t, ['tcp', '1', '--relay', relay.tunnel, '--log-format', 'json'])
    assert.equal(await agent.exit(), 1)
    assert.match(agent.output.stderr, /--ca FILE/)
  })

  it('talk without verification when told to, and say so', async (t) => {
    const relay = await startRelay(t)
    const flags = ['--relay', relay.tunnel, '--insecure-skip-verify', '--log-format', 'json']
    const agent = new Millrace(t, ['tcp', '1', ...flags], { MILLRACE_TOKEN: token })
    await agent.line('tunnel.up')
    assert.equal(agent.of('agent.insecure').length, 1)
  })

  it('do not share an address: the second relay ends with exit code 1 and names it', async (t) => {
    const relay = await startRelay(t)
    const state = await scratch(t)
    const flags = ['--tunnel-addr', relay.tunnel, '--state-dir', state, '--open', '--log-format', 'json']
    const second = new Millrace(t, ['relay', ...flags])
    assert.equal(await second.exit(), 1)
    assert.ok(second.output.stderr.includes(relay.tunnel), second.output.stderr)
    assert.equal(second.output.stderr.trim().split('\n').length, 1)
    assert.equal(second.of('relay.stopped').length, 0, 'it has never run')
  })

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`end with exit code 0 on ${signal}, with joins under way`, async (t) => {
      const relay = await startRelay(t, ['--drain-timeout', '1'])
      const service = await startService(t)
      const agent = startAgent(t, relay, ['tcp', `127.0.0.1:${service.port}`])
      const visitor = new Wire(await dialPort(Number((await tunnelUrl(agent, 'tcp')).port)))
      visitor.socket.write('x')
      await (await service.visitors.next()).bytes(1)
      agent.kill(signal)
      assert.equal(await agent.exit(), 0)
      assert.equal(agent.of('join.end').length, 1)
      assert.equal(agent.of('agent.stopped').length, 1)
      relay.process.kill(signal)
      assert.equal(await relay.process.exit(), 0)
      await visitor.end()
    })
  }

  it('end a relay that drains at once on a second signal', async (t) => {
    const relay = await startRelay(t, ['--drain-timeout', '600'])
    const echo = await startEcho(t)
    const agent = startAgent(t, relay, ['tcp', `127.0.0.1:${echo}`])
    const visitor = new Wire(await dialPort(Number((await tunnelUrl(agent, 'tcp')).port)))
    visitor.socket.write('x')
    await visitor.bytes(1)
    relay.process.kill('SIGTERM')
    // Twice: it is told of every few seconds.
    const [first, second] = await Promise.all([1, 2].map((nth) => relay.process.line('relay.draining', undefined, nth)))
    assert.deepEqual([first?.['visitors'], second?.['visitors']], [1, 1])
    assert.ok(Number(second?.['leftMs']) < Number(first?.['leftMs']) && Number(first?.['leftMs']) <= 600_000)
    visitor.socket.write('y')
    assert.equal(String(await visitor.bytes(1)), 'y')
    // Who is cut off must not take that for the end of what was asked for.
    const cut = new Promise<Error>((resolve) => visitor.socket.once('error', resolve))
    relay.process.kill('SIGTERM')
    assert.equal(await relay.process.exit(), 0)
    assert.equal(relay.process.of('relay.cut')[0]?.['visitors'], 1)
    assert.equal(Reflect.get(await cut, 'code'), 'ECONNRESET')
  })

  it('end an agent at once on a second signal', async (t) => {
    const relay = await startRelay(t)
    const service = await startService(t)
    const agent = startAgent(t, relay, ['tcp', `127.0.0.1:${service.port}`])
    const visitor = await dialPort(Number((await tunnelUrl(agent, 'tcp')).port))
    // The agent's end cuts its connections off: the visitor must not take that for the end of what it asked for.
    const cut = new Promise<Error>((resolve) => visitor.once('error', resolve))
    visitor.write('x')
    const served = await service.visitors.next()
    await served.bytes(1)
    const cutService = new Promise<Error>((resolve) => served.socket.once('error', resolve))
    agent.kill('SIGINT')
    await agent.line('agent.stopping')
    // Two signals within 100 ms are one key press.
    const again = setInterval(() => agent.kill('SIGINT'), 150)
    t.after(() => clearInterval(again))
    assert.equal(await agent.exit(), 0)
    assert.equal(Reflect.get(await cut, 'code'), 'ECONNRESET')
    assert.equal(Reflect.get(await cutService, 'code'), 'ECONNRESET')
  })
})
