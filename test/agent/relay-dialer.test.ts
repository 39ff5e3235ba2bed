/** How the agent reaches its relay: through proxies, and which of several. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { AgentOptions } from '../../src/agent/options.ts'
import { parseProxy } from '../../src/net/proxy-server.ts'
import { makeCertificate } from '../dataplane/certificate.ts'
import type { RecordingLogger } from './events.ts'
import { type FakeProxy, startHttpProxy, startSilentProxy, startSocksProxy } from './fake-proxy.ts'
import type { FakeRelay } from './fake-relay.ts'
import { deadPort, startAgent, startEcho, startRelay, tcpTunnel, tunnelUp } from './setup.ts'

const url = 'tcp://relay.test:20001'
const ticketed = { extensions: ['ticket', 'origin'] }

const through = (text: string): Pick<AgentOptions, 'proxy'> => {
  const proxy = parseProxy(text)
  return { proxy: () => proxy }
}

/** A whole visitor's way, by the echo service that the tunnel leads to. */
async function visit(relay: FakeRelay, control: Awaited<ReturnType<typeof tunnelUp>>): Promise<void> {
  control.send({ type: 'ReqProxy', Tickets: ['ticket-1'] })
  const visitor = await relay.connections.next()
  await visitor.expect('RegProxy')
  visitor.send({ type: 'StartProxy', Url: url, ClientAddr: '192.0.2.1:5000' })
  visitor.socket.end('hello')
  assert.equal(String(await visitor.rest()), 'hello')
}

const secretsIn = (log: RecordingLogger): boolean => /hunter2|aHVudGVy|jane/.test(JSON.stringify(log.lines))

async function throughProxy(t: TestContext, proxy: FakeProxy, text: string): Promise<void> {
  const relay = await startRelay(t)
  const { log, agent, up } = startAgent(t, 0, tcpTunnel(await startEcho(t)), {
    relay: { host: 'localhost', port: relay.port },
    ...through(text),
  })
  const control = await tunnelUp(relay, url, ticketed)
  await up
  await visit(relay, control)
  // The name is the proxy's to resolve; control and proxy connections take the same way.
  assert.deepEqual(proxy.asked, [`localhost:${relay.port}`, `localhost:${relay.port}`])
  assert.match(agent.status.relay, new RegExp(`^localhost:${relay.port} through \\w+://127.0.0.1:${proxy.port}$`))
  assert.ok(!secretsIn(log))
}

describe('the way to the relay', () => {
  it('leads through an HTTP proxy, with Basic credentials', async (t) => {
    const proxy = await startHttpProxy(t, 'jane:hunter2')
    await throughProxy(t, proxy, `http://jane:hunter2@127.0.0.1:${proxy.port}`)
  })

  it('leads through a SOCKS5 proxy, with user and password', async (t) => {
    const proxy = await startSocksProxy(t, 'jane', 'hunter2')
    await throughProxy(t, proxy, `socks5://jane:hunter2@127.0.0.1:${proxy.port}`)
  })

  for (const [kind, start, answer] of [
    ['http', (t: TestContext) => startHttpProxy(t, 'jane:other'), /answered 407 .* wants a user and a password/],
    ['socks5', (t: TestContext) => startSocksProxy(t, 'jane', 'other'), /does not accept the user and the password/],
    ['http', startSilentProxy, /did not answer in time/],
    ['socks5', startSilentProxy, /did not answer in time/],
    ['http', (t: TestContext) => startSocksProxy(t, '', ''), /(does not speak HTTP|closed the connection)/],
    ['socks5', startHttpProxy, /did not answer in time/],
  ] as const) {
    it(`says what ${kind} proxies refuse (${answer.source}), without secrets`, async (t) => {
      const proxy = await start(t)
      const { log } = startAgent(t, 9, tcpTunnel(9), {
        ...through(`${kind}://jane:hunter2@127.0.0.1:${proxy.port}`),
        timings: { dialMs: 500 },
      })
      const { fields } = await log.line('agent.disconnected')
      assert.match(String(fields['reason']), answer)
      assert.match(String(fields['reason']), new RegExp(`the proxy ${kind}://127.0.0.1:${proxy.port} `))
      assert.ok(!secretsIn(log))
    })
  }

  it('names a proxy that is not there, and the errno', async (t) => {
    const port = await deadPort()
    const { log } = startAgent(t, 9, tcpTunnel(9), through(`http://127.0.0.1:${port}`))
    const { fields } = await log.line('agent.disconnected')
    assert.match(String(fields['reason']), new RegExp(`http://127.0.0.1:${port} cannot be reached \\(ECONNREFUSED\\)`))
  })

  it('is given up at once when the agent stops while a proxy is silent', async (t) => {
    const proxy = await startSilentProxy(t)
    const { agent, log } = startAgent(t, 9, tcpTunnel(9), through(`http://127.0.0.1:${proxy.port}`))
    const began = performance.now()
    await proxy.reached.next()
    await agent.stop()
    assert.ok(performance.now() - began < 8_000, 'not the whole dial time-out')
    assert.equal(log.lines.filter(({ event }) => event === 'agent.disconnected').length, 0)
  })
})

describe('several relays', () => {
  it('are tried in order, and the first is preferred again later', async (t) => {
    const second = await startRelay(t)
    const firstPort = await deadPort()
    const { agent, log, up } = startAgent(t, firstPort, tcpTunnel(await startEcho(t)), {
      otherRelays: [{ host: '127.0.0.1', port: second.port }],
    })
    const control = await tunnelUp(second, url, ticketed)
    await up
    assert.equal(agent.status.relay, `127.0.0.1:${second.port}`)
    const { fields } = await log.line('relay.failed')
    assert.match(`${String(fields['relay'])} ${String(fields['reason'])}`, new RegExp(`${firstPort} .*ECONNREFUSED`))
    await visit(second, control)
    // The first comes back; the loss of the second leads to it, although the second would do.
    const first = await startRelay(t, firstPort)
    control.socket.destroy()
    await tunnelUp(first, url, ticketed)
    assert.equal(agent.status.relay, `127.0.0.1:${firstPort}`)
  })

  it('that let nobody in give way to the next', async (t) => {
    const full = await startRelay(t)
    const other = await startRelay(t)
    const { up } = startAgent(t, full.port, tcpTunnel(9), { otherRelays: [{ host: '127.0.0.1', port: other.port }] })
    const turnedAway = await full.connections.next()
    await turnedAway.expect('Auth')
    turnedAway.socket.destroy()
    await tunnelUp(other, url, ticketed)
    await up
  })

  it('with a wrong certificate are passed over, and end the agent only when all have one', async (t) => {
    const stranger = await makeCertificate(['127.0.0.1'])
    const wrong = await startRelay(t, 0, stranger)
    const right = await startRelay(t)
    const { up } = startAgent(t, wrong.port, tcpTunnel(9), { otherRelays: [{ host: '127.0.0.1', port: right.port }] })
    await tunnelUp(right, url, ticketed)
    await up
    const alone = startAgent(t, wrong.port, tcpTunnel(9), { otherRelays: [{ host: '127.0.0.1', port: wrong.port }] })
    await assert.rejects(alone.up, { code: 'ERR_AGENT_TRUST' })
    const down = startAgent(t, wrong.port, tcpTunnel(9), {
      otherRelays: [{ host: '127.0.0.1', port: await deadPort() }],
    })
    await down.log.line('agent.disconnected')
    assert.equal(down.agent.status.state === 'stopped', false)
  })
})
