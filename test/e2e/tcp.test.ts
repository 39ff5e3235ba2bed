/** TCP tunnels through real processes. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Wire } from '../agent/fake-relay.ts'
import { deadPort, dialPort, startEcho, startService } from '../agent/setup.ts'
import { scratch, startAgent, startRelay, tunnelUrl } from './stage.ts'

const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe('a TCP tunnel', () => {
  for (const flags of [[], ['--plain']]) {
    const how = flags.length === 0 ? 'TLS' : 'plain'
    it(`carries bytes both ways and half-closes, over ${how} proxy connections`, async (t) => {
      const relay = await startRelay(t, ['--allow-plain'])
      const service = await startService(t)
      const agent = startAgent(t, relay, ['tcp', `127.0.0.1:${service.port}`, ...flags])
      const url = await tunnelUrl(agent, 'tcp')
      assert.equal((await relay.process.line('tunnel.up'))['url'], url.href)
      assert.equal((await agent.line('agent.connected'))['plain'], flags.length > 0 ? true : 'passthrough')

      const up = randomBytes(3_000_000)
      const down = randomBytes(2_000_000)
      const visitor = new Wire(await dialPort(Number(url.port)))
      visitor.socket.end(up)
      const served = await service.visitors.next()
      assert.equal(sum(await served.rest()), sum(up))
      // Only now, when the other direction has ended, does this one begin.
      served.socket.end(down)
      assert.equal(sum(await visitor.rest()), sum(down))

      for (const end of [relay.process, agent]) {
        const line = await end.line('join.end')
        assert.deepEqual(
          [line['url'], line['bytesIn'], line['bytesOut'], line['reason']],
          [url.href, up.length, down.length, 'eof'],
        )
        assert.equal(end.of('join.end').length, 1)
      }
    })
  }

  it('gets the port that was asked for', async (t) => {
    const relay = await startRelay(t)
    const port = await deadPort()
    const agent = startAgent(t, relay, ['tcp', '1', '--remote-port', String(port)])
    assert.equal(Number((await tunnelUrl(agent, 'tcp')).port), port)
  })

  it('leads to a unix socket', async (t) => {
    const relay = await startRelay(t)
    const path = join(await scratch(t), 'service.sock')
    const service = await startService(t, path)
    const agent = startAgent(t, relay, ['tcp', `unix:${path}`])
    const visitor = await dialPort(Number((await tunnelUrl(agent, 'tcp')).port))
    visitor.end('by path')
    assert.equal(String(await (await service.visitors.next()).rest()), 'by path')
  })

  it('resets visitors while the service is down', async (t) => {
    const relay = await startRelay(t)
    const target = `127.0.0.1:${await deadPort()}`
    const agent = startAgent(t, relay, ['tcp', target])
    const visitor = new Wire(await dialPort(Number((await tunnelUrl(agent, 'tcp')).port)))
    assert.equal(await visitor.end(), 'reset')
    assert.equal((await agent.line('local.down'))['target'], target)
  })

  for (const flags of [[], ['--plain']]) {
    it(`serves 200 visitors at once, over ${flags.length === 0 ? 'TLS' : 'plain'} proxy connections`, async (t) => {
      const relay = await startRelay(t, ['--allow-plain'])
      const port = await startEcho(t)
      const agent = startAgent(t, relay, ['tcp', `127.0.0.1:${port}`, ...flags])
      const publicPort = Number((await tunnelUrl(agent, 'tcp')).port)
      const visits = Array.from({ length: 200 }, async () => {
        const visitor = new Wire(await dialPort(publicPort))
        const sent = randomBytes(20_000)
        visitor.socket.end(sent)
        assert.equal(sum(await visitor.rest()), sum(sent))
      })
      await Promise.all(visits)
      for (const end of [relay.process, agent]) {
        await end.line('join.end', ({ reason, bytesOut }) => reason === 'eof' && bytesOut === 20_000, 200)
        assert.equal(end.of('join.end').length, 200)
      }
      assert.equal(agent.of('proxy.failed').length, 0)
    })
  }

  it('passes a reset on, to either end', async (t) => {
    const relay = await startRelay(t)
    const service = await startService(t)
    const agent = startAgent(t, relay, ['tcp', `127.0.0.1:${service.port}`])
    const port = Number((await tunnelUrl(agent, 'tcp')).port)
    for (const from of ['visitor', 'service'] as const) {
      const visitor = new Wire(await dialPort(port))
      visitor.socket.write('x')
      const served = await service.visitors.next()
      await served.bytes(1)
      served.socket.write('y')
      await visitor.bytes(1)
      const [resets, sees] = from === 'visitor' ? [visitor, served] : [served, visitor]
      resets.socket.resetAndDestroy()
      assert.equal(await sees.end(), 'reset')
    }
    for (const nth of [1, 2]) assert.equal((await agent.line('join.end', undefined, nth))['reason'], 'reset')
  })
})
