import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TunnelSpec } from '../../src/agent/options.ts'
import { startAgent, startRelay, tcpTunnel, tunnelUp } from './setup.ts'

const one = tcpTunnel(1)
const two: TunnelSpec = { ...tcpTunnel(2), remotePort: 2002 }
const url = 'tcp://relay.test:20001'

describe('setTunnels', () => {
  it('gives up and asks on a live session that knows close', async (t) => {
    const relay = await startRelay(t)
    const { agent, up } = startAgent(t, relay.port, one)
    const control = await tunnelUp(relay, url, { extensions: ['ticket', 'close'] })
    await up
    assert.deepEqual(agent.setTunnels([{ ...one }]), { added: 0, removed: 0 })
    assert.deepEqual(agent.setTunnels([{ ...one }, two]), { added: 1, removed: 0 })
    assert.equal((await control.expect('ReqTunnel')).RemotePort, 2002)
    assert.deepEqual(agent.setTunnels([two]), { added: 0, removed: 1 })
    assert.equal((await control.expect('CloseTunnel')).Url, url)
    assert.throws(() => agent.setTunnels([]), { code: 'ERR_OPTION' })
    // The answer to a request that is not wanted any more: the tunnel is given up again.
    assert.deepEqual(agent.setTunnels([one]), { added: 1, removed: 1 })
    const { ReqId } = await control.expect('ReqTunnel')
    control.send({ type: 'NewTunnel', ReqId: 'an-old-one', Url: 'tcp://relay.test:2002', Protocol: 'tcp', Error: '' })
    assert.equal((await control.expect('CloseTunnel')).Url, 'tcp://relay.test:2002')
    control.send({ type: 'NewTunnel', ReqId, Url: url, Protocol: 'tcp', Error: '' })
  })

  it('marks a tunnel that this relay can not give, and keeps the others', async (t) => {
    const relay = await startRelay(t)
    const { agent, up } = startAgent(t, relay.port, one)
    await tunnelUp(relay, url, { extensions: ['ticket', 'close'] })
    await up
    agent.setTunnels([one, { ...tcpTunnel(3), protocol: 'tls' }])
    assert.match(agent.status.failed[0]?.reason ?? '', /does not know tls tunnels/)
    assert.equal(agent.status.tunnels.length, 1)
  })

  it('begins a new session with a 1.x relay', async (t) => {
    const relay = await startRelay(t)
    const { agent, up } = startAgent(t, relay.port, one)
    await tunnelUp(relay, url, {})
    await up
    agent.setTunnels([two])
    await tunnelUp(relay, 'tcp://relay.test:2002', {})
    assert.ok(agent.status.tunnels.length <= 1)
  })
})
