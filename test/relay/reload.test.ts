import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed } from './relay-bed.ts'

describe('a relay whose settings are reloaded', () => {
  it('goes by the new ones at once, and keeps sessions, tunnels and visitors', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    const { port } = await agent.tcp()
    agent.echo()
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    visitor.write('before')
    assert.equal(await visitor.read(6), 'before')

    const { settings } = bed
    const change = await bed.relay.reload({
      ...settings,
      tcpPorts: { first: 1, last: 1 },
      limits: { ...settings.limits, tunnelsPerSession: 2, sessions: 1, joinsPerTunnel: 1 },
    })
    assert.deepEqual(
      [[...change.live].sort(), change.later],
      [['limits.joins_per_tunnel', 'limits.sessions', 'limits.tunnels_per_session', 'tcp_ports'], []],
    )
    // The visitor that is there stays, another is one too many. Of tunnels that are there the limits are new as well.
    const other = await FrameSocket.plain(port)
    assert.equal(await other.ended(), 'reset')
    visitor.write('after')
    assert.equal(await visitor.read(5), 'after')
    assert.match((await agent.ask({ Protocol: 'tcp', RemotePort: 5_000 })).Error, /outside of the range 1-1/)
    assert.equal((await agent.ask({ Protocol: 'http' })).Error, '')
    assert.match((await agent.ask({ Protocol: 'http', Subdomain: 'b' })).Error, /more than 2|2/)
    await assert.rejects(bed.agent())
    await bed.tap.until('connection.refused', { code: 'ERR_SESSION_LIMIT' })
  })

  it('says what needs a restart, and leaves that as it is', async (t) => {
    const bed = await RelayBed.start(t)
    const { settings } = bed
    const change = await bed.relay.reload({ ...settings, domain: 'other.example', httpsRedirect: true })
    assert.deepEqual(change, { live: ['https_redirect'], later: ['domain'] })
    const agent = await bed.agent()
    assert.match((await agent.ask({ Protocol: 'http', Subdomain: 'a' })).Url, /^http:\/\/a\.localhost:/)
  })

  it('believes another balancer, and no longer the last one', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['ticket', 'origin'] })
    const { port } = await agent.tcp()
    const { settings } = bed
    await bed.relay.reload({ ...settings, proxyProtocolFrom: ['127.0.0.0/8'] })
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    visitor.write('PROXY TCP4 192.0.2.7 192.0.2.8 5 6\r\n')
    assert.equal((await agent.visitor()).start.ClientAddr, '192.0.2.7:5')
    await bed.relay.reload(settings)
    const next = await FrameSocket.plain(port)
    t.after(() => next.destroy())
    assert.match((await agent.visitor()).start.ClientAddr, /^127\.0\.0\.1:/)
  })
})
