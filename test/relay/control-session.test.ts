import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultLimits } from '../../src/config/relay-settings.ts'
import { createDataPlane } from '../../src/dataplane/create.ts'
import { silentLogger } from '../../src/observe/log.ts'
import { Refusals } from '../../src/observe/refusals.ts'
import { ControlSession } from '../../src/relay/control-session.ts'
import type { Registrar } from '../../src/relay/registrar.ts'
import { TokenAccount } from '../../src/relay/token-account.ts'
import { decodeFrame } from '../../src/wire/codec.ts'
import type { Extension } from '../../src/wire/messages.ts'
import { FakeEndpoint } from './fake-endpoint.ts'
import { RelayBed } from './relay-bed.ts'

/** A session on an endpoint that never says anything. */
function silentSession(extensions?: readonly Extension[]): { session: ControlSession; endpoint: FakeEndpoint } {
  const endpoint = new FakeEndpoint()
  const session = new ControlSession({
    dataPlane: createDataPlane('stream'),
    endpoint,
    clientId: 'a'.repeat(32),
    identity: new TokenAccount({ key: '' }),
    extensions,
    limits: defaultLimits,
    registrar: {} as Registrar,
    log: silentLogger,
    refusals: new Refusals(silentLogger),
    onClose: () => undefined,
  })
  session.start()
  return { session, endpoint }
}

const sentTypes = (endpoint: FakeEndpoint): readonly string[] =>
  endpoint.written.map((frame) => decodeFrame(frame).type)

describe('heartbeat', () => {
  it('gives a 1.x agent up after 30 s of silence, and never pings it', () => {
    const { session, endpoint } = silentSession()
    const start = performance.now()
    for (let s = 1; s <= 29; s++) session.tick(start + s * 1000)
    assert.equal(session.closed, false)
    session.tick(start + 31_000)
    assert.equal(session.closed, true)
    assert.equal(endpoint.destroyed, 'reset')
    assert(!sentTypes(endpoint).includes('Ping'))
  })

  it('with ping2, pings every 5 s and gives up after 10 s of silence', () => {
    const { session, endpoint } = silentSession(['ping2'])
    const start = performance.now()
    for (let s = 1; s <= 9; s++) session.tick(start + s * 1000)
    assert.equal(sentTypes(endpoint).filter((type) => type === 'Ping').length, 1)
    assert.equal(session.closed, false)
    session.tick(start + 11_000)
    assert.equal(session.closed, true)
  })

  it('does not take a pause of the relay for silence of the agent', () => {
    const { session } = silentSession(['ping2'])
    session.pardon(60_000)
    session.tick(performance.now() + 65_000)
    assert.equal(session.closed, false)
    session.close('shutdown')
  })

  it('drops a silent ping2 agent over a real connection within 12 s', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['ping2'] })
    const { Url } = await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    const quietSince = performance.now()
    const ping = await agent.control.next('Ping')
    assert.equal(typeof ping.Time, 'number')
    await bed.tap.until('agent.disconnected', { reason: 'silent' })
    const silence = performance.now() - quietSince
    assert(silence > 9_900 && silence < 14_000, `dropped after ${silence} ms`)
    await bed.tap.until('tunnel.down', { url: Url })
  })

  it('keeps an agent that answers pings', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['ping2'] })
    for (let i = 0; i < 2; i++) {
      const { Time = 0 } = await agent.control.next('Ping')
      agent.control.send({ type: 'Pong', Time })
    }
    assert.equal(bed.tap.all('agent.disconnected').length, 0)
  })
})
