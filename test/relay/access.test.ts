import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { AddressCount, addressGroup } from '../../src/net/address-group.ts'
import { FrameSocket } from './frame-socket.ts'
import { eventually } from './http-front-bed.ts'
import { RelayBed } from './relay-bed.ts'

/** A silent connection from one of this machine's own addresses; how it ended, once it has. */
function from(t: TestContext, localAddress: string, port: number): { ended: string } {
  const seen = { ended: '' }
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  socket.on('end', () => {
    seen.ended ||= 'fin'
  })
  socket.on('error', () => {
    seen.ended ||= 'reset'
  })
  socket.resume()
  t.after(() => socket.destroy())
  return seen
}

describe('allow and deny', () => {
  it('keep agents and visitors out before anything is read, and can change while the relay runs', async (t) => {
    const bed = await RelayBed.start(t, { deny: ['127.0.0.66/32'] })
    const agent = await bed.agent()
    const { port } = await agent.tcp()
    const ports = [bed.port('tunnel'), bed.port('http'), bed.port('https'), port]
    for (const one of ports) {
      const denied = from(t, '127.0.0.66', one)
      await eventually(() => denied.ended === 'reset', `a reset at ${one}`)
    }
    await bed.relay.reload({ ...bed.settings, allow: ['127.0.0.1', '127.0.0.67'], deny: ['127.0.0.67'] })
    for (const address of ['127.0.0.67', '127.0.0.68']) {
      const denied = from(t, address, port)
      await eventually(() => denied.ended === 'reset', `a reset for ${address}`)
    }
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    assert.equal((await agent.visitor()).start.Proto ?? 'tcp', 'tcp')
  })

  it('judge visitors behind a balancer by their own addresses', async (t) => {
    const bed = await RelayBed.start(t, { proxyProtocolFrom: ['127.0.0.0/8'], deny: ['192.0.2.0/24'] })
    const agent = await bed.agent()
    const { port } = await agent.tcp()
    const denied = await FrameSocket.plain(port)
    denied.write('PROXY TCP4 192.0.2.7 192.0.2.8 5 6\r\n')
    assert.equal(await denied.ended(), 'reset')
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    visitor.write('PROXY TCP4 198.51.100.7 192.0.2.8 5 6\r\n')
    await agent.visitor()
  })
})

describe('limits per address', () => {
  it('keep one address from taking all handshakes: others still come in', async (t) => {
    const bed = await RelayBed.start(t, { limits: { handshakes: 8, handshakesPerAddress: 4 } })
    const silent = Array.from({ length: 6 }, () => from(t, '127.0.0.66', bed.port('tunnel')))
    await eventually(() => silent.filter(({ ended }) => ended === 'reset').length === 2, 'two too many')
    await bed.tap.until('connection.refused', { code: 'ERR_ADDRESS_LIMIT' })
    await bed.agent()
  })

  it('keep one address from taking all places of visitors who have not come through', async (t) => {
    const bed = await RelayBed.start(t, { limits: { pendingVisitors: 8, pendingPerAddress: 4 } })
    const silent = Array.from({ length: 6 }, () => from(t, '127.0.0.66', bed.port('https')))
    await eventually(() => silent.filter(({ ended }) => ended === 'reset').length === 2, 'two too many at https')
    const waiting = Array.from({ length: 6 }, () => from(t, '127.0.0.66', bed.port('http')))
    await eventually(() => waiting.filter(({ ended }) => ended !== '').length === 2, 'two too many at http')
    const visitor = await FrameSocket.plain(bed.port('http'))
    t.after(() => visitor.destroy())
    visitor.write('GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n')
    assert.match(await visitor.rest(), /^HTTP\/1\.1 404/)
  })
})

describe('addresses', () => {
  it('count by /64 where one host has many', () => {
    assert.equal(addressGroup('2001:db8::1'), addressGroup('2001:db8::ffff:1'))
    assert.notEqual(addressGroup('2001:db8::1'), addressGroup('2001:db8:0:1::1'))
    assert.equal(addressGroup('::ffff:192.0.2.1'), '192.0.2.1')
    assert.equal(addressGroup(''), '')
  })

  it('are held only while they have something', () => {
    const count = new AddressCount()
    assert.deepEqual(
      [count.take('192.0.2.1', 2), count.take('192.0.2.1', 2), count.take('192.0.2.1', 2)],
      [true, true, false],
    )
    count.free('192.0.2.1')
    assert.equal(count.take('192.0.2.1', 2), true)
    count.free('192.0.2.1')
    count.free('192.0.2.1')
    assert.equal(count.size, 0)
  })
})
