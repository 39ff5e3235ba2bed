/** Visitors on lanes, with agents made by hand. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { FrameSocket } from './frame-socket.ts'
import { eventually } from './http-front-bed.ts'
import { LanePeer } from './lane-peer.ts'
import { type BedOptions, RelayBed } from './relay-bed.ts'
import type { TestAgent } from './test-agent.ts'

const extensions = ['ticket', 'lane', 'origin', 'drain']

interface Stage {
  readonly bed: RelayBed
  readonly agent: TestAgent
  /** The lanes that the relay asked for at first. */
  readonly lanes: readonly LanePeer[]
  readonly port: number
}

/** A relay, and an agent that has opened what it was asked for. */
async function stage(t: TestContext, options: BedOptions = {}, how: { readonly plain?: boolean } = {}): Promise<Stage> {
  const bed = await RelayBed.start(t, options)
  const agent = await bed.agent({ extensions: how.plain === true ? [...extensions, 'plain'] : extensions })
  assert(agent.auth.Extensions?.includes('lane'))
  const { port } = await agent.tcp(how.plain === true ? { Encrypt: false } : {})
  return { bed, agent, lanes: await answer(agent, how), port }
}

async function answer(agent: TestAgent, how: { readonly plain?: boolean } = {}): Promise<readonly LanePeer[]> {
  return (await agent.answerReqProxy(how)).map((proxy) => new LanePeer(proxy))
}

async function visitor(t: TestContext, port: number): Promise<FrameSocket> {
  const socket = await FrameSocket.plain(port)
  t.after(() => socket.destroy())
  return socket
}

/** A whole visit, each side saying something of its own. */
async function visit(t: TestContext, lane: LanePeer, port: number, name: string): Promise<void> {
  const socket = await visitor(t, port)
  socket.write(`from ${name}`)
  const start = await lane.opened()
  assert.equal(start.ClientAddr, `127.0.0.1:${socket.socket.localPort}`)
  assert.equal(await lane.read(5 + name.length), `from ${name}`)
  lane.write(`to ${name}`)
  assert.equal(await socket.read(3 + name.length), `to ${name}`)
  socket.end()
  await lane.finish()
  assert.equal(await socket.ended(), 'fin')
}

describe('the extension lane', () => {
  for (const { what, offered, settings = {}, agreed } of [
    { what: 'is agreed on where both have it', offered: extensions, agreed: true },
    { what: 'needs tickets', offered: ['lane', 'origin'], agreed: false },
    { what: 'is not agreed on with lanes: false', offered: extensions, settings: { lanes: false }, agreed: false },
    { what: 'is not pressed upon an agent without it', offered: ['ticket'], agreed: false },
    { what: 'is nothing to a 1.x agent', offered: undefined, agreed: false },
  ]) {
    it(what, async (t) => {
      const bed = await RelayBed.start(t, settings)
      const agent = await bed.agent(offered === undefined ? {} : { extensions: offered })
      assert.equal(agent.auth.Extensions?.includes('lane') ?? false, agreed)
      const { port } = await agent.tcp()
      const [proxy] = await agent.answerReqProxy()
      assert(proxy !== undefined)
      if (agreed) await visit(t, new LanePeer(proxy), port, 'x')
      else {
        const socket = await visitor(t, port)
        socket.write('hello')
        await proxy.next('StartProxy')
        assert.equal(await proxy.read(5), 'hello')
      }
    })
  }
})

describe('visitors on lanes', () => {
  for (const plain of [false, true]) {
    it(`come one after another on one ${plain ? 'plain' : 'encrypted'} connection`, async (t) => {
      const { bed, lanes, port } = await stage(t, { allowPlain: true }, { plain })
      assert.equal(lanes.length, 1)
      const [lane] = lanes
      assert(lane !== undefined)
      for (let i = 0; i < 300; i++) await visit(t, lane, port, `visitor ${i}`)
      await eventually(() => bed.tap.all('join.end').length === 300, 'all to be told of')
      assert(bed.tap.all('join.end').every(({ reason }) => reason === 'eof'))
    })
  }

  it('who reset take only themselves away', async (t) => {
    const { lanes, port } = await stage(t)
    const [lane] = lanes
    assert(lane !== undefined)
    for (let i = 0; i < 3; i++) {
      const socket = await visitor(t, port)
      socket.write('x')
      await lane.opened()
      await lane.read(1)
      socket.reset()
      assert.equal(await lane.wasReset(), 'connection')
      assert(lane.free)
      await visit(t, lane, port, `after ${i}`)
      const other = await visitor(t, port)
      await lane.opened()
      lane.reset('unreachable')
      assert.equal(await other.ended(), 'reset')
      await lane.wasReset()
    }
  })

  it('wait, and are served by the lane that comes back', async (t) => {
    const { lanes, port } = await stage(t)
    const [lane] = lanes
    assert(lane !== undefined)
    const sockets = [await visitor(t, port)]
    await lane.opened()
    for (let i = 1; i < 5; i++) sockets.push(await visitor(t, port))
    for (const [index, socket] of sockets.entries()) {
      if (index > 0) await lane.opened()
      lane.write(`${index}`)
      assert.equal(await socket.read(1), `${index}`)
      socket.end()
      await lane.finish()
    }
  })

  it('stay when their session is evicted or lost; their lanes go with them, and the idle ones at once', async (t) => {
    for (const how of ['evicted', 'lost'] as const) {
      const { bed, agent, lanes, port } = await stage(t)
      const [busy] = lanes
      assert(busy !== undefined)
      const socket = await visitor(t, port)
      await busy.opened()
      const [idle] = await answer(agent)
      assert(idle !== undefined)
      if (how === 'lost') agent.control.reset()
      else await bed.agent({ clientId: agent.clientId, extensions })
      await idle.closed()
      await bed.tap.until('agent.disconnected')
      socket.write('still')
      assert.equal(await busy.read(5), 'still')
      busy.write('here')
      assert.equal(await socket.read(4), 'here')
      socket.end()
      await busy.finish()
      await busy.closed()
      assert.equal(await socket.ended(), 'fin')
    }
  })

  it('finish when the relay drains, and hold it up until then', async (t) => {
    const { bed, agent, lanes, port } = await stage(t)
    const [lane] = lanes
    assert(lane !== undefined)
    const socket = await visitor(t, port)
    await lane.opened()
    const stopped = bed.relay.stop(60_000)
    await agent.control.next('Drain')
    await bed.tap.until('relay.draining', { visitors: 1 })
    socket.write('last words')
    assert.equal(await lane.read(10), 'last words')
    lane.write('answer')
    socket.end()
    await lane.finish()
    assert.equal(await socket.rest(), 'answer')
    await stopped
    await lane.closed()
    assert.equal((await bed.tap.until('join.end'))['reason'], 'eof')
  })

  it('are not lost with a lane that says what it may not', async (t) => {
    const { agent, lanes, port } = await stage(t)
    const [bad] = lanes
    assert(bad !== undefined)
    bad.misbehave()
    await bad.closed()
    const [good] = await answer(agent)
    assert(good !== undefined)
    await visit(t, good, port, 'somebody')
  })
})

describe('a visitor whose lane is lost', () => {
  it('gets another one, unseen, if none of its bytes had been taken', async (t) => {
    // There is room for one, however often it moves.
    const { bed, agent, lanes, port } = await stage(t, { limits: { joins: 1, joinsPerTunnel: 1, joinsPerAddress: 1 } })
    const [first] = lanes
    assert(first !== undefined)
    const socket = await visitor(t, port)
    const before = await first.opened()
    first.kill()
    await bed.tap.until('visitor.moved')
    assert.deepEqual(bed.relay.proxies, { idle_proxies: 0, busy_lanes: 0 })
    socket.write('hello')
    const [second] = await answer(agent)
    assert(second !== undefined)
    assert.deepEqual(await second.opened(), before)
    assert.equal(await second.read(5), 'hello')
    second.write('welcome')
    assert.equal(await socket.read(7), 'welcome')
    socket.end()
    await second.finish()
    assert.equal(await socket.ended(), 'fin')
    const { bytesIn, bytesOut, reason } = await bed.tap.until('join.end')
    assert.deepEqual([bytesIn, bytesOut, reason], [5, 7, 'eof'])
    assert.equal(bed.tap.all('join.end').length, 1)
    assert.equal(bed.tap.all('visitor.moved').length, 1)
    assert.equal(bed.relay.counts.visitors, 0)
    assert.equal(bed.relay.refusals.counts.size, 0)
    await visit(t, second, port, 'the next')
  })

  it('is given up after three', async (t) => {
    const { bed, agent, lanes, port } = await stage(t)
    const socket = await visitor(t, port)
    let [lane] = lanes
    for (let i = 0; i < 3; i++) {
      assert(lane !== undefined)
      await lane.opened()
      lane.kill()
      if (i < 2) [lane] = await answer(agent)
    }
    assert.equal(await socket.ended(), 'reset')
    assert.equal((await bed.tap.until('join.end'))['reason'], 'unreachable')
    assert.equal(bed.tap.all('visitor.moved').length, 2)
    assert.equal(bed.relay.counts.visitors, 0)
  })

  it('is lost with it once it has said anything', async (t) => {
    const { bed, agent, lanes, port } = await stage(t)
    const [lane] = lanes
    assert(lane !== undefined)
    const socket = await visitor(t, port)
    socket.write('x')
    await lane.opened()
    await lane.read(1)
    await answer(agent)
    lane.kill()
    assert.equal(await socket.ended(), 'reset')
    assert.equal((await bed.tap.until('join.end'))['reason'], 'reset')
    assert.equal(bed.tap.all('visitor.moved').length, 0)
  })

  it('frees its place when it leaves while it waits for another', async (t) => {
    const { bed, lanes, port } = await stage(t)
    const [lane] = lanes
    assert(lane !== undefined)
    const socket = await visitor(t, port)
    await lane.opened()
    lane.kill()
    await bed.tap.until('visitor.moved')
    socket.reset()
    const stopped = bed.relay.stop(60_000)
    await stopped
    assert.equal(bed.relay.counts.visitors, 0)
    assert.equal(bed.tap.all('relay.cut').length, 0)
  })
})
