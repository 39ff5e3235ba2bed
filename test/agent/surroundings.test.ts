/** Sleep and changes of the network, noticed and acted upon. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultTimings } from '../../src/agent/options.ts'
import { type Disturbance, Surroundings } from '../../src/agent/surroundings.ts'
import { startAgent, startRelay, tcpTunnel, tunnelUp } from './setup.ts'

const url = 'tcp://relay.test:20001'
const extended = { extensions: ['ticket', 'close', 'drain', 'ping2', 'origin'] }

describe('surroundings', () => {
  it('tell a sleep and a change of addresses from a busy moment', (t) => {
    let now = 1_000_000
    let addresses = 'eth0 192.0.2.1'
    const seen: Disturbance[] = []
    const surroundings = new Surroundings({
      onChange: (what) => seen.push(what),
      periodMs: 2_000,
      now: () => now,
      addresses: () => addresses,
    })
    t.after(() => surroundings.stop())
    const look = (laterMs: number): readonly Disturbance[] => {
      now += laterMs
      surroundings.look()
      return seen.splice(0)
    }
    assert.deepEqual(look(2_000), [])
    assert.deepEqual(look(6_900), [])
    assert.deepEqual(look(7_100), ['resumed'])
    assert.deepEqual(look(2_000), [])
    addresses = 'wlan0 198.51.100.7'
    assert.deepEqual(look(2_000), ['network'])
    assert.deepEqual(look(2_000), [])
    // A clock that was set back says nothing.
    assert.deepEqual(look(-3_600_000), [])
    addresses = ''
    assert.deepEqual(look(600_000), ['resumed'])
  })
})

describe('an agent that was disturbed', () => {
  it('finds out at once that its relay is gone', async (t) => {
    const relay = await startRelay(t)
    const { agent, log, up } = startAgent(t, relay.port, tcpTunnel(1), {
      timings: { probeMs: 50, backoff: { minMs: 60_000, maxMs: 60_000 } },
    })
    const first = await tunnelUp(relay, url, extended)
    await up
    // The relay says nothing more, though the connection stands.
    agent.disturbed('resumed')
    const second = await tunnelUp(relay, url, extended)
    assert.match(String((await log.line('agent.disconnected')).fields['reason']), /nothing heard/)
    first.socket.destroy()
    second.socket.destroy()
  })

  it('keeps a session whose relay answers', async (t) => {
    const relay = await startRelay(t)
    const { agent, log, up } = startAgent(t, relay.port, tcpTunnel(1), { timings: { probeMs: 200 } })
    const control = await tunnelUp(relay, url, extended)
    await up
    agent.disturbed('network')
    const ping = await control.expect('Ping')
    control.send({ type: 'Pong', ...(ping.Time === undefined ? {} : { Time: ping.Time }) })
    // Longer than the probe waits.
    await new Promise((resolve) => setTimeout(resolve, 400))
    assert.equal(log.of('agent.disconnected').length, 0)
    assert.equal(agent.status.state, 'online')
  })

  it('tries again at once instead of waiting', async (t) => {
    const relay = await startRelay(t)
    const { agent, log, up } = startAgent(t, relay.port, tcpTunnel(1), {
      timings: { backoff: { minMs: 3_600_000, maxMs: 3_600_000 }, stableMs: defaultTimings.stableMs },
    })
    const first = await tunnelUp(relay, url, extended)
    await up
    first.socket.destroy()
    const second = await relay.connections.next()
    second.socket.destroy()
    await log.line('agent.disconnected', 2)
    agent.disturbed('network')
    await tunnelUp(relay, url, extended)
  })
})
