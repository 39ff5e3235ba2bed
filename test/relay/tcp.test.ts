import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed } from './relay-bed.ts'

describe('TCP tunnels', () => {
  it('carry a visitor to a 1.x agent and back, with StartProxy in front', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    const { url, port } = await agent.tcp()
    assert.equal(url, `tcp://localhost:${port}`)
    const visitor = await FrameSocket.plain(port)
    visitor.write('hello')
    const { proxy, start } = await agent.visitor()
    assert.deepEqual(start, {
      type: 'StartProxy',
      Url: url,
      ClientAddr: `127.0.0.1:${visitor.socket.localPort}`,
    })
    assert.equal(await proxy.read(5), 'hello')
    proxy.write('hello yourself')
    assert.equal(await visitor.read(14), 'hello yourself')
    visitor.end()
    assert.equal(await proxy.ended(), 'fin')
    proxy.write('still here')
    assert.equal(await visitor.read(10), 'still here')
    proxy.end()
    assert.equal(await visitor.ended(), 'fin')
    const line = await bed.tap.until('join.end')
    const { level, time, durationMs, ...rest } = line
    assert.deepEqual(rest, {
      event: 'join.end',
      url,
      bytesIn: 5,
      bytesOut: 24,
      pathIn: 'tls',
      pathOut: 'tls',
      splicedIn: 0,
      splicedOut: 0,
      reason: 'eof',
    })
    assert(Number.isInteger(durationMs) && level === 'info' && typeof time === 'string')
  })

  it('tell agents that ask for it where the visitor came in', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['origin'] })
    const { port } = await agent.tcp()
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    const { start } = await agent.visitor()
    assert.equal(start.ServerAddr, `127.0.0.1:${port}`)
    assert.equal(start.Proto, 'tcp')
    assert.match(start.Id ?? '', /^[0-9a-f]{16}$/)
  })

  it('use a proxy connection that was opened before the visitor came, and ask for the next one', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    const [pooled] = await agent.answerReqProxy()
    assert(pooled !== undefined)
    const { port } = await agent.tcp()
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    await pooled.next('StartProxy')
    await agent.control.next('ReqProxy')
  })

  for (const die of ['end', 'reset', 'destroy'] as const) {
    it(`never hand out a pooled connection that has died (${die})`, async (t) => {
      const bed = await RelayBed.start(t)
      const agent = await bed.agent({ extensions: ['ticket'] })
      const [pooled] = await agent.answerReqProxy()
      const { port } = await agent.tcp()
      pooled?.[die]()
      // It asks for another one once it has noticed.
      const { Tickets = [] } = await agent.control.next('ReqProxy')
      const visitor = await FrameSocket.plain(port)
      t.after(() => visitor.destroy())
      visitor.write('hello')
      const [ticket = ''] = Tickets
      const proxy = await agent.openProxy({ ticket })
      await proxy.next('StartProxy')
      assert.equal(await proxy.read(5), 'hello')
    })
  }

  it('survive the loss of the control connection: running joins go on', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    const { port } = await agent.tcp()
    const visitor = await FrameSocket.plain(port)
    const { proxy } = await agent.visitor()
    agent.control.reset()
    await bed.tap.until('agent.disconnected')
    await bed.agent({ clientId: agent.clientId })
    visitor.write('after')
    assert.equal(await proxy.read(5), 'after')
    proxy.write('all')
    assert.equal(await visitor.read(3), 'all')
    proxy.end()
    visitor.end()
    assert.equal((await bed.tap.until('join.end'))['reason'], 'eof')
  })

  it('pass a reset on', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    const { port } = await agent.tcp()
    const visitor = await FrameSocket.plain(port)
    await agent.visitor()
    visitor.reset()
    assert.equal((await bed.tap.until('join.end'))['reason'], 'reset')
    assert.equal(bed.relay.counts.visitors, 0)
  })

  it('reset visitors who waited longer than limits.waiter_timeout_ms', async (t) => {
    const bed = await RelayBed.start(t, { limits: { waiterTimeoutMs: 100 } })
    const agent = await bed.agent()
    const { url, port } = await agent.tcp()
    const visitor = await FrameSocket.plain(port)
    assert.equal(await visitor.ended(), 'reset')
    await bed.tap.until('visitor.refused', { url, code: 'ERR_POOL_TIMEOUT' })
  })

  it('reset visitors beyond limits.waiters', async (t) => {
    const bed = await RelayBed.start(t, { limits: { waiters: 1 } })
    const agent = await bed.agent()
    const { port } = await agent.tcp()
    const first = await FrameSocket.plain(port)
    const second = await FrameSocket.plain(port)
    t.after(() => first.destroy())
    assert.equal(await second.ended(), 'reset')
    await bed.tap.until('visitor.refused', { code: 'ERR_POOL_FULL' })
    // The first one still gets through.
    const { proxy } = await agent.visitor()
    proxy.write('x')
    assert.equal(await first.read(1), 'x')
  })

  it('give the place of a waiting visitor who resets to the next one', async (t) => {
    const bed = await RelayBed.start(t, { limits: { waiters: 1, joinsPerTunnel: 1 } })
    const agent = await bed.agent()
    const { port } = await agent.tcp()
    const first = await FrameSocket.plain(port)
    await agent.control.next('ReqProxy')
    await agent.control.next('ReqProxy')
    first.reset()
    let second: FrameSocket
    for (;;) {
      second = await FrameSocket.plain(port)
      second.write('x')
      const proxy = await agent.openProxy()
      const got = await Promise.race([proxy.next('StartProxy').then(() => proxy), second.ended()])
      if (typeof got !== 'string') break
    }
    second.destroy()
  })

  it('reset visitors beyond limits.joins_per_tunnel', async (t) => {
    const bed = await RelayBed.start(t, { limits: { joinsPerTunnel: 1 } })
    const agent = await bed.agent()
    agent.echo()
    const { port } = await agent.tcp()
    const first = await FrameSocket.plain(port)
    first.write('x')
    await first.read(1)
    const second = await FrameSocket.plain(port)
    assert.equal(await second.ended(), 'reset')
    await bed.tap.until('visitor.refused', { code: 'ERR_JOIN_LIMIT' })
    first.end()
    await bed.tap.until('join.end')
    const third = await FrameSocket.plain(port)
    t.after(() => third.destroy())
    third.write('y')
    assert.equal(await third.read(1), 'y')
  })

  it('reset visitors beyond limits.joins, whichever tunnel they come to', async (t) => {
    const bed = await RelayBed.start(t, { limits: { joins: 1 } })
    const agent = await bed.agent()
    agent.echo()
    const [one, other] = [await agent.tcp(), await agent.tcp()]
    const first = await FrameSocket.plain(one.port)
    first.write('x')
    await first.read(1)
    const second = await FrameSocket.plain(other.port)
    assert.equal(await second.ended(), 'reset')
    await bed.tap.until('visitor.refused', { code: 'ERR_RELAY_FULL' })
    first.end()
    await bed.tap.until('join.end')
    const third = await FrameSocket.plain(other.port)
    t.after(() => third.destroy())
    third.write('y')
    assert.equal(await third.read(1), 'y')
  })

  it('close 1.x proxy connections beyond limits.pool', async (t) => {
    const bed = await RelayBed.start(t, { limits: { pool: 2 } })
    const agent = await bed.agent()
    await agent.openProxy()
    await agent.openProxy()
    const surplus = await agent.openProxy()
    assert.equal(await surplus.ended(), 'fin')
    await bed.tap.until('connection.refused', { code: 'ERR_POOL_LIMIT' })
  })

  it('serve a burst of visitors to a 1.x agent, whole frames at a time', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    agent.echo()
    const { port } = await agent.tcp()
    const visitors = await Promise.all(Array.from({ length: 150 }, () => FrameSocket.plain(port)))
    await Promise.all(
      visitors.map(async (visitor, index) => {
        const text = `visitor ${index}`
        visitor.write(text)
        assert.equal(await visitor.read(text.length), text)
        visitor.end()
        assert.equal(await visitor.ended(), 'fin')
        visitor.destroy()
      }),
    )
    assert.equal(bed.tap.all('visitor.refused').length, 0)
  })

  it('serve a burst of visitors with tickets', async (t) => {
    const bed = await RelayBed.start(t, { allowPlain: true })
    const agent = await bed.agent({ extensions: ['ticket', 'plain'] })
    agent.echo({ plain: true })
    const { port } = await agent.tcp({ Encrypt: false })
    const visitors = await Promise.all(Array.from({ length: 300 }, () => FrameSocket.plain(port)))
    await Promise.all(
      visitors.map(async (visitor, index) => {
        const text = `visitor ${index}`
        visitor.write(text)
        assert.equal(await visitor.read(text.length), text)
        visitor.destroy()
      }),
    )
    assert.equal(bed.tap.all('visitor.refused').length, 0)
  })
})
