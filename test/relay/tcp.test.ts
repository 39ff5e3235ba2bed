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
    assert.equal(line['url'], url)
    assert.equal(line['bytesIn'], 5)
    assert.equal(line['bytesOut'], 24)
    assert.equal(line['reason'], 'eof')
  })
})
