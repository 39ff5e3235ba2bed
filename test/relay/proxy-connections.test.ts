import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed, sha256, token } from './relay-bed.ts'

describe('proxy connections', () => {
  it('of a session with tickets are refused without one, with a wrong one, and the second time', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['ticket'] })
    const { Tickets = [] } = await agent.control.next('ReqProxy')
    const [ticket = ''] = Tickets
    for (const bad of [undefined, 'f'.repeat(32), '']) {
      const refused = await agent.openProxy(bad === undefined ? {} : { ticket: bad })
      assert.equal(await refused.ended(), 'fin')
    }
    const good = await agent.openProxy({ ticket })
    const again = await agent.openProxy({ ticket })
    assert.equal(await again.ended(), 'fin')
    const { port } = await agent.tcp()
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    await good.next('StartProxy')
    assert.deepEqual([...bed.relay.refusals.counts], [['ERR_PROXY_REFUSED', 4]])
  })

  it('are bound to their session: a ticket is worth nothing with another client id', async (t) => {
    const tokens = [token, 'other'].map((text) => ({ name: text, sha256: sha256(text) }))
    const bed = await RelayBed.start(t, { tokens })
    const victim = await bed.agent({ extensions: ['ticket'] })
    const thief = await bed.agent({ extensions: ['ticket'], token: 'other' })
    const { Tickets = [] } = await thief.control.next('ReqProxy')
    const [ticket = ''] = Tickets
    const proxy = await thief.openProxy({ ticket, clientId: victim.clientId })
    assert.equal(await proxy.ended(), 'fin')
  })

  it('of nobody are refused', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    const proxy = await agent.openProxy({ clientId: '0'.repeat(32) })
    assert.equal(await proxy.ended(), 'fin')
    await bed.tap.until('connection.refused', { code: 'ERR_PROXY_REFUSED' })
  })

  it('may be plain where both ends allow it, and carry the visitor unencrypted', async (t) => {
    const bed = await RelayBed.start(t, { allowPlain: true })
    const agent = await bed.agent({ extensions: ['ticket', 'plain'] })
    const { port } = await agent.tcp({ Encrypt: false })
    const visitor = await FrameSocket.plain(port)
    const [proxy] = await agent.answerReqProxy({ plain: true })
    assert(proxy !== undefined)
    await proxy.next('StartProxy')
    visitor.write('in the clear')
    assert.equal(await proxy.read(12), 'in the clear')
    visitor.end()
    proxy.end()
    assert.notEqual((await bed.tap.until('join.end'))['pathIn'], 'tls')
  })

  it('that are plain serve no tunnel that wants encryption', async (t) => {
    const bed = await RelayBed.start(t, { allowPlain: true, limits: { waiterTimeoutMs: 500 } })
    const agent = await bed.agent({ extensions: ['ticket', 'plain'] })
    const [plain] = await agent.answerReqProxy({ plain: true })
    assert(plain !== undefined)
    const secret = await agent.tcp()
    const visitor = await FrameSocket.plain(secret.port)
    // Another one is asked for, as the plain one can't serve this visitor.
    const [encrypted] = await agent.answerReqProxy({ plain: false })
    assert(encrypted !== undefined)
    assert.equal((await encrypted.next('StartProxy')).Url, secret.url)
    visitor.destroy()
    const open = await agent.tcp({ Encrypt: false })
    const other = await FrameSocket.plain(open.port)
    assert.equal((await plain.next('StartProxy')).Url, open.url)
    other.destroy()
  })

  it('that are encrypted serve tunnels that allow plain ones as well', async (t) => {
    const bed = await RelayBed.start(t, { allowPlain: true })
    const agent = await bed.agent({ extensions: ['ticket', 'plain'] })
    const { url, port } = await agent.tcp({ Encrypt: false })
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    assert.equal((await agent.visitor()).start.Url, url)
  })

  for (const [name, allowPlain, extensions] of [
    ['the relay does not allow it', false, ['ticket', 'plain']],
    ['the session did not negotiate it', true, ['ticket']],
    ['the agent is a 1.x one', true, undefined],
  ] as const) {
    it(`may not be plain where ${name}`, async (t) => {
      const bed = await RelayBed.start(t, { allowPlain })
      const agent = await bed.agent(extensions === undefined ? {} : { extensions })
      const [proxy] = await agent.answerReqProxy({ plain: true })
      assert.equal(await proxy?.ended(), 'fin')
      await bed.tap.until('connection.refused', { code: 'ERR_PROXY_REFUSED' })
    })
  }
})
