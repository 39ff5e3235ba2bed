import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed } from './relay-bed.ts'
import type { TestAgent } from './test-agent.ts'

/** A visitor whose join is up. */
async function joined(agent: TestAgent): Promise<{ readonly visitor: FrameSocket; readonly proxy: FrameSocket }> {
  const { port } = await agent.tcp()
  const visitor = await FrameSocket.plain(port)
  return { visitor, proxy: (await agent.visitor()).proxy }
}

/** A connection is refused, or reset when it came just before the listener was gone. */
async function assertUnreachable(port: number): Promise<void> {
  try {
    assert.equal(await (await FrameSocket.plain(port)).ended(), 'reset')
  } catch (error) {
    assert(error instanceof Error && 'code' in error)
    assert.equal(error.code, 'ECONNREFUSED')
  }
}

describe('a relay that is asked to stop', () => {
  it('takes nobody new, tells agents, and lets joins finish', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['drain'] })
    const { visitor, proxy } = await joined(agent)
    const tunnelPort = bed.port('tunnel')
    const stopped = bed.relay.stop(60_000)
    assert.equal((await agent.control.next('Drain')).type, 'Drain')
    assert.equal(await agent.control.ended(), 'fin')
    await bed.tap.until('agent.disconnected', { reason: 'shutdown' })
    await bed.tap.until('tunnel.down')
    await assertUnreachable(tunnelPort)
    await assertUnreachable(bed.port('http'))
    visitor.write('last words')
    assert.equal(await proxy.read(10), 'last words')
    visitor.end()
    proxy.end()
    await stopped
    assert.equal((await bed.tap.until('join.end'))['reason'], 'eof')
  })

  it('first serves who has come in already', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['drain', 'ticket'] })
    const { port } = await agent.tcp()
    const visitor = await FrameSocket.plain(port)
    visitor.write('first words')
    const stopped = bed.relay.stop(60_000)
    const { proxy } = await agent.visitor()
    assert.equal(await proxy.read(11), 'first words')
    await agent.control.next('Drain')
    await bed.tap.until('relay.draining', { visitors: 1 })
    visitor.end()
    proxy.end()
    await stopped
  })

  it('aborts what has not finished in time', async (t) => {
    const bed = await RelayBed.start(t)
    const { visitor } = await joined(await bed.agent())
    await bed.relay.stop(50)
    assert.equal(await visitor.ended(), 'reset')
    assert.equal((await bed.tap.until('join.end'))['reason'], 'aborted')
    await bed.tap.until('relay.cut', { visitors: 1 })
    assert.deepEqual(bed.relay.counts, { sessions: 0, tunnels: 0, visitors: 0 })
  })

  it('aborts joins of web tunnels as well', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    const visitor = await FrameSocket.plain(bed.port('http'))
    visitor.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    const { proxy } = await agent.visitor()
    await proxy.read(3)
    await bed.relay.stop(50)
    await visitor.ended()
    assert.equal((await bed.tap.until('join.end'))['reason'], 'aborted')
  })
})

describe('a relay that cannot start', () => {
  it('names the address that is in use and says what to do', async (t) => {
    const bed = await RelayBed.start(t)
    const tunnelAddr = { host: '127.0.0.1', port: bed.port('http') }
    await assert.rejects(RelayBed.start(t, { tunnelAddr }), {
      code: 'ERR_LISTEN',
      message: new RegExp(`127\\.0\\.0\\.1:${tunnelAddr.port}: another program has it.*--tunnel-addr`),
    })
  })

  it('refuses without a token unless it is open', async (t) => {
    await assert.rejects(RelayBed.start(t, { tokens: [] }), { code: 'ERR_TOKENS_MISSING' })
  })
})
