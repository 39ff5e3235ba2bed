/** What a relay can't make an agent hold. Sizes of frames and requests for proxy connections are tested beside these. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { AgentOptions } from '../../src/agent/options.ts'
import { maxSentFrame } from '../../src/wire/limits.ts'
import type { Wire } from './fake-relay.ts'
import { startAgent, startEcho, startRelay, tcpTunnel, tunnelUp } from './setup.ts'

const url = 'tcp://relay.example:7000'
const extended = { extensions: ['ticket', 'close'] }

async function stage(t: TestContext, options: Partial<AgentOptions> = {}) {
  const relay = await startRelay(t)
  const { agent, log, up } = startAgent(t, relay.port, tcpTunnel(await startEcho(t)), options)
  const control = await tunnelUp(relay, url, extended)
  await up
  const proxy = async (ticket: string): Promise<Wire> => {
    control.send({ type: 'ReqProxy', Tickets: [ticket] })
    const wire = await relay.connections.next()
    assert.equal((await wire.expect('RegProxy')).Ticket, ticket)
    return wire
  }
  return { agent, control, log, proxy }
}

describe('an agent with a hostile relay', () => {
  it('serves no more visitors at once than limits.visitors', async (t) => {
    const { log, proxy } = await stage(t, { limits: { visitors: 1 } })
    const visit = async (name: string): Promise<Wire> => {
      const wire = await proxy(name)
      wire.send({ type: 'StartProxy', Url: url, ClientAddr: '192.0.2.1:5' })
      wire.socket.write(name)
      return wire
    }
    const first = await visit('a')
    assert.equal((await first.bytes(1)).toString(), 'a')
    await (await visit('b')).end()
    assert.equal((await log.line('visitor.refused')).fields['code'], 'ERR_AGENT_VISITORS')
    first.socket.end()
    await log.line('join.end')
    assert.equal((await (await visit('c')).bytes(1)).toString(), 'c')
  })

  it('reads no StartProxy that is longer than a TLS record', async (t) => {
    const { log, proxy } = await stage(t)
    const wire = await proxy('a')
    const header = Buffer.alloc(8)
    header.writeBigInt64LE(BigInt(maxSentFrame + 1))
    wire.socket.write(header)
    await wire.end()
    assert.match(String((await log.line('proxy.failed')).fields['reason']), /too large/)
    // The session is not touched by it.
    await proxy('b')
  })

  it('keeps one address for each protocol that it asked for, however many are announced', async (t) => {
    const relay = await startRelay(t)
    const { agent, log } = startAgent(t, relay.port, { ...tcpTunnel(1), protocol: 'http+https' })
    const control = await relay.control(extended)
    const { ReqId } = await control.expect('ReqTunnel')
    for (let i = 0; i < 50; i++) {
      control.send({ type: 'NewTunnel', ReqId, Url: `http://${i}.relay.example`, Protocol: 'http', Error: '' })
    }
    for (let i = 2; i < 50; i++) assert.equal((await control.expect('CloseTunnel')).Url, `http://${i}.relay.example`)
    assert.deepEqual(
      agent.status.tunnels.map((tunnel) => tunnel.url),
      ['http://0.relay.example', 'http://1.relay.example'],
    )
    assert.equal(log.of('agent.skipped').length < 10, true)
  })

  it('asks once for a tunnel that is refused again and again, and logs no more than that', async (t) => {
    const relay = await startRelay(t)
    const { agent, log, up } = startAgent(t, relay.port, tcpTunnel(1), {
      timings: { backoff: { minMs: 1_000, maxMs: 1_000 } },
    })
    const control = await relay.control(extended)
    const { ReqId } = await control.expect('ReqTunnel')
    control.send({ type: 'NewTunnel', ReqId, Url: url, Protocol: 'tcp', Error: '' })
    await up
    for (let i = 0; i < 100; i++) control.send({ type: 'NewTunnel', ReqId, Url: '', Protocol: '', Error: 'no' })
    await control.expect('ReqTunnel')
    control.send({ type: 'Ping', Time: 1 })
    await control.expect('Pong')
    assert.equal(log.of('tunnel.refused').length, 1)
    await agent.stop()
  })
})
