/** `npm run soak:liveness`: a power loss of the agent's host, with real processes and in real time. About 45 seconds. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { startEcho } from '../agent/setup.ts'
import { Millrace } from '../e2e/process.ts'
import { type RelayProcess, relayFlags, scratch, startRelay, token, tunnelUrl } from '../e2e/stage.ts'
import { FrameSocket } from '../relay/frame-socket.ts'
import { TestAgent } from '../relay/test-agent.ts'
import { Forwarder } from '../support/forwarder.ts'

/** A relay, and a way to it that can be cut: a forwarder stops without a word to either end. */
async function stage(t: TestContext): Promise<{ relay: RelayProcess; way: Forwarder; flags: readonly string[] }> {
  const relay = await startRelay(t, [], { https: false })
  const way = await Forwarder.to(t, Number(relay.tunnel.split(':')[1]))
  return { relay, way, flags: relayFlags({ ...relay, tunnel: `127.0.0.1:${way.port}` }) }
}

function tell(t: TestContext, what: string, ms: number, limitMs: number): void {
  t.diagnostic(`${what}: ${(ms / 1000).toFixed(2)} s (limit ${limitMs / 1000} s)`)
  assert(ms <= limitMs, `${ms} ms`)
}

async function served(t: TestContext, port: number): Promise<void> {
  const visitor = await FrameSocket.plain(port)
  t.after(() => visitor.destroy())
  visitor.write('hello')
  assert.equal(await visitor.read(5), 'hello')
}

describe('after a power loss of the agent’s host', { concurrency: true }, () => {
  it('the relay notices without a new login, with ping2', async (t) => {
    const { relay, way, flags } = await stage(t)
    const agent = new Millrace(t, ['tcp', '1', ...flags], { MILLRACE_TOKEN: token })
    await agent.line('tunnel.up')
    way.cut()
    const began = performance.now()
    agent.kill('SIGKILL')
    await relay.process.line('agent.disconnected', ({ reason }) => reason === 'silent')
    tell(t, 'noticed by the relay', performance.now() - began, 12_000)
  })

  it('the relay notices without a new login: a 1.x agent', async (t) => {
    const { relay, way } = await stage(t)
    const agent = await TestAgent.connect(way.port, { token })
    t.after(() => agent.destroy())
    await agent.tcp()
    agent.control.send1x({ type: 'Ping' })
    await agent.control.next('Pong')
    way.cut()
    const began = performance.now()
    await relay.process.line('agent.disconnected', ({ reason }) => reason === 'silent')
    tell(t, 'noticed by the relay', performance.now() - began, 41_000)
  })

  it('an agent whose way is cut notices, and takes over from itself', async (t) => {
    const { relay, way, flags } = await stage(t)
    const agent = new Millrace(t, ['tcp', String(await startEcho(t)), ...flags], { MILLRACE_TOKEN: token })
    const url = await tunnelUrl(agent, 'tcp')
    way.cut()
    const began = performance.now()
    await agent.line('agent.disconnected')
    tell(t, 'noticed by the agent', performance.now() - began, 12_000)
    const again = await agent.line('tunnel.up', undefined, 2)
    assert.equal(again['url'], url.href)
    await served(t, Number(url.port))
    tell(t, 'visitors served again', performance.now() - began, 13_000)
    // At most one of the two: the relay may have noticed in the same moment.
    const ends = relay.process.of('agent.disconnected').map(({ reason }) => String(reason))
    assert(ends.every((reason) => reason === 'evicted' || reason === 'silent'))
  })

  it('the agent’s new process takes over; the visitors of others notice nothing', async (t) => {
    const { relay, way, flags } = await stage(t)
    const env = { MILLRACE_TOKEN: token, XDG_STATE_HOME: await scratch(t) }
    const command = ['tcp', String(await startEcho(t)), ...flags]
    const first = new Millrace(t, command, env)
    const url = await tunnelUrl(first, 'tcp')
    const port = Number(url.port)
    const running = await FrameSocket.plain(port)
    t.after(() => running.destroy())
    running.write('hello')
    assert.equal(await running.read(5), 'hello')
    way.cut()
    first.kill('SIGKILL')
    await first.exit()
    const began = performance.now()
    const second = new Millrace(t, command, env)
    await relay.process.line('agent.connected', undefined, 2)
    const loggedIn = performance.now()
    assert.equal((await tunnelUrl(second, 'tcp')).href, url.href)
    await served(t, port)
    t.diagnostic(`start of the new process, compiling its sources: ${((loggedIn - began) / 1000).toFixed(2)} s`)
    tell(t, 'from its login to the answer of a visitor', performance.now() - loggedIn, 1_000)
    assert.equal(relay.process.of('agent.disconnected')[0]?.['reason'], 'evicted')
    // The relay left the running join alone: its visitor has neither an end nor a reset.
    assert.equal(relay.process.of('join.end').length, 0)
  })
})
