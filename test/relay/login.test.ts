import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeMessage } from '../../src/wire/codec.ts'
import { RelayBed, sha256, token } from './relay-bed.ts'
import { TestAgent } from './test-agent.ts'

const allExtensions = [
  'ticket',
  'plain',
  'close',
  'drain',
  'ping2',
  'tls',
  'origin',
  'terminate',
  'access',
  'unheard-of',
]

describe('login', () => {
  it('answers a 1.x agent as 1.7 does: AuthResp of 120 bytes, then ReqProxy', async (t) => {
    const bed = await RelayBed.start(t)
    const { control, auth } = await TestAgent.greet(bed.port('tunnel'), { token })
    t.after(() => control.destroy())
    assert.match(auth.ClientId, /^[0-9a-f]{32}$/)
    assert.deepEqual(auth, { type: 'AuthResp', Version: '2', MmVersion: '1.7', ClientId: auth.ClientId, Error: '' })
    assert.equal(encodeMessage(auth).length, 8 + 120)
    assert.deepEqual(await control.message(), { type: 'ReqProxy' })
  })

  it('accepts the extensions that both ends have', async (t) => {
    const bed = await RelayBed.start(t, { allowPlain: true })
    const agent = await bed.agent({ extensions: allExtensions })
    assert.deepEqual(agent.auth.Extensions, [
      'ticket',
      'plain',
      'close',
      'drain',
      'ping2',
      'tls',
      'origin',
      'terminate',
      'access',
    ])
    const { Tickets } = await agent.control.next('ReqProxy')
    assert.equal(Tickets?.length, 1)
    assert.match(Tickets?.[0] ?? '', /^[0-9a-f]{32}$/)
  })

  it('accepts plain only where the operator allows it, and never without tickets', async (t) => {
    const strict = await RelayBed.start(t)
    assert.deepEqual((await strict.agent({ extensions: ['ticket', 'plain'] })).auth.Extensions, ['ticket'])
    const lax = await RelayBed.start(t, { allowPlain: true })
    assert.deepEqual((await lax.agent({ extensions: ['plain'] })).auth.Extensions, [])
  })

  for (const [name, options, pattern] of [
    ['an unknown token', { token: 'nobody' }, /token/],
    ['no token', { token: '' }, /token/],
    ['another version of the protocol', { token, version: '3' }, /version 2/],
  ] as const) {
    it(`refuses ${name} with an Error and closes`, async (t) => {
      const bed = await RelayBed.start(t)
      const { control, auth } = await TestAgent.greet(bed.port('tunnel'), options)
      assert.match(auth.Error, pattern)
      assert.deepEqual(
        { ...auth, Error: '' },
        { type: 'AuthResp', Version: '2', MmVersion: '1.7', ClientId: '', Error: '' },
      )
      assert.equal(await control.ended(), 'fin')
      control.destroy()
      await bed.tap.until('connection.refused')
      assert.equal(bed.tap.all('connection.refused').length, 1)
      assert.equal(bed.relay.counts.sessions, 0)
    })
  }

  it('lets an agent take over its live session at once', async (t) => {
    const bed = await RelayBed.start(t)
    const first = await bed.agent()
    const { port } = await first.tcp()
    const second = await bed.agent({ clientId: first.clientId })
    assert.equal(second.clientId, first.clientId)
    assert.equal(await first.control.ended(), 'fin')
    await bed.tap.until('agent.disconnected', { reason: 'evicted' })
    const again = await second.tcp({ RemotePort: port })
    assert.equal(again.port, port)
    assert.equal(bed.relay.counts.sessions, 1)
  })

  it('gives who comes with another token a new id and leaves the live session alone', async (t) => {
    const tokens = [token, 'another'].map((text) => ({ name: text, sha256: sha256(text) }))
    const bed = await RelayBed.start(t, { tokens })
    const first = await bed.agent()
    const second = await bed.agent({ clientId: first.clientId, token: 'another' })
    assert.notEqual(second.clientId, first.clientId)
    await first.tcp()
    assert.equal(bed.relay.counts.sessions, 2)
  })

  it('honours an id from an earlier relay, and replaces what is no id', async (t) => {
    const bed = await RelayBed.start(t)
    const id = 'af129b89b18621f56d6ccb99e71f3b40'
    assert.equal((await bed.agent({ clientId: id })).clientId, id)
    assert.notEqual((await bed.agent({ clientId: 'short' })).clientId, 'short')
  })

  it('lets anybody into an open relay, where the client id alone proves who comes back', async (t) => {
    const bed = await RelayBed.start(t, { tokens: [], open: true })
    const first = await bed.agent({ token: '' })
    const second = await bed.agent({ token: '', clientId: first.clientId })
    assert.equal(second.clientId, first.clientId)
    assert.equal(await first.control.ended(), 'fin')
  })

  it('never logs tokens, client ids, tickets or passwords', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['ticket'] })
    await agent.ask({ Protocol: 'http', HttpAuth: 'joe:secret-password' })
    const { Tickets } = await (await bed.agent({ extensions: ['ticket'] })).control.next('ReqProxy')
    agent.destroy()
    await bed.tap.until('agent.disconnected')
    const log = JSON.stringify(bed.tap.lines)
    for (const secret of [token, sha256(token), agent.clientId, Tickets?.[0] ?? '?', 'secret-password']) {
      assert(!log.includes(secret), `the log holds ${secret}`)
    }
  })

  it('turns agents beyond limits.sessions away without an Error, as it may pass', async (t) => {
    const bed = await RelayBed.start(t, { limits: { sessions: 1 } })
    const first = await bed.agent()
    await assert.rejects(TestAgent.greet(bed.port('tunnel'), { token }), /ended/)
    await bed.tap.until('connection.refused', { code: 'ERR_SESSION_LIMIT' })
    // Who takes over its own session needs no second place.
    await bed.agent({ clientId: first.clientId })
  })
})
