import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeMessage } from '../../src/wire/codec.ts'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed } from './relay-bed.ts'

function frame(body: string | Buffer, length = BigInt(Buffer.byteLength(body))): Buffer {
  const header = Buffer.alloc(8)
  header.writeBigInt64LE(length)
  return Buffer.concat([header, Buffer.from(body)])
}

const firstFrames: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['a length of 0', frame('', 0n)],
  ['a length of -1', frame('{}', -1n)],
  ['a length of 2^31', frame('{}', 2n ** 31n)],
  ['a length of 2^40', frame('{}', 2n ** 40n)],
  ['a length of 2^63 - 1', frame('{}', 2n ** 63n - 1n)],
  ['a length of 64 KiB before authentication', frame('{}', 65_536n)],
  ['bad JSON', frame('{"Type":"Auth","Payload":')],
  ['bad UTF-8', frame(Buffer.from('{"Type":"\xff\xfe","Payload":{}}', 'latin1'))],
  ['a field of the wrong type', frame('{"Type":"Auth","Payload":{"Version":2}}')],
  ['an unknown type', frame('{"Type":"Hello","Payload":{}}')],
  ['another message first', encodeMessage({ type: 'Ping' })],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: relay\r\n\r\n')],
  ['binary noise', Buffer.from(Array.from({ length: 512 }, (_, i) => (i * 197 + 31) & 0xff))],
]

/** All refusals of a relay, whatever for. */
function refusalsOf({ relay }: RelayBed): number {
  return [...relay.refusals.counts.values()].reduce((sum, count) => sum + count, 0)
}

describe('hostile peers of the tunnel port', () => {
  for (const [name, bytes] of firstFrames) {
    it(`${name}: one log line and a close of each, inside TLS and plain`, async (t) => {
      const bed = await RelayBed.start(t)
      for (const connection of [
        await FrameSocket.tls(bed.port('tunnel')),
        await FrameSocket.plain(bed.port('tunnel')),
      ]) {
        connection.write(bytes)
        await connection.ended()
        connection.destroy()
      }
      assert.equal(refusalsOf(bed), 2)
      // Of two within a second one line stands for both.
      assert([1, 2].includes(bed.tap.all('connection.refused').length))
      // It serves others as before.
      await (await bed.agent()).tcp()
    })
  }

  it('Auth without TLS: refused, so that no token crosses the net in the clear', async (t) => {
    const bed = await RelayBed.start(t, { allowPlain: true })
    const connection = await FrameSocket.plain(bed.port('tunnel'))
    const empty = { Password: '', OS: '', Arch: '', ClientId: '' }
    connection.send({ type: 'Auth', Version: '2', MmVersion: '1.7', User: 'x', ...empty })
    await connection.ended()
    await bed.tap.until('connection.refused', { code: 'ERR_FIRST_MESSAGE' })
  })

  for (const [name, bytes] of firstFrames.slice(0, 9)) {
    if (name.startsWith('a length of 64 KiB')) continue
    it(`${name} on a live control connection: one log line and a close`, async (t) => {
      const bed = await RelayBed.start(t)
      const agent = await bed.agent()
      await agent.tcp()
      agent.control.write(bytes)
      await agent.control.ended()
      const line = await bed.tap.until('agent.disconnected')
      assert.equal(line['reason'], 'protocol')
      assert.equal(bed.relay.counts.tunnels, 0)
      await (await bed.agent()).tcp()
    })
  }

  it('unknown and misplaced messages on a control connection are logged and skipped', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    agent.control.write(frame('{"Type":"Hello","Payload":{}}'))
    agent.control.write(frame('{"Type":"Hello"}'))
    agent.control.send({ type: 'NewTunnel', ReqId: '', Url: '', Protocol: '', Error: '' })
    agent.control.send({ type: 'Ping' })
    assert.deepEqual(await agent.control.next('Pong'), { type: 'Pong' })
    assert.deepEqual(
      bed.tap.all('control.skipped').map((line) => line['type']),
      ['Hello', 'Hello', 'NewTunnel'],
    )
    for (let i = 0; i < 50; i++) agent.control.write(frame('{"Type":"Again","Payload":{}}'))
    agent.control.send({ type: 'Ping', Time: 17.5 })
    assert.deepEqual(await agent.control.next('Pong'), { type: 'Pong', Time: 17.5 })
    assert.equal(bed.tap.all('control.skipped').length, 10)
  })

  it('a frame in single bytes is read all the same', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    agent.control.socket.setNoDelay(true)
    for (const byte of encodeMessage({ type: 'Ping' })) {
      await new Promise((resolve) => agent.control.socket.write(Buffer.of(byte), resolve))
    }
    await agent.control.next('Pong')
  })

  it('a health check that comes and goes is no news', async (t) => {
    const bed = await RelayBed.start(t)
    const connection = await FrameSocket.plain(bed.port('tunnel'))
    connection.end()
    assert.equal(await connection.ended(), 'fin')
    await (await bed.agent()).tcp()
    assert.equal(bed.tap.all('connection.refused').length, 0)
  })

  it('connections beyond limits.handshakes are reset', async (t) => {
    const bed = await RelayBed.start(t, { limits: { handshakes: 2 } })
    const silent = [await FrameSocket.plain(bed.port('tunnel')), await FrameSocket.plain(bed.port('tunnel'))]
    const third = await FrameSocket.plain(bed.port('tunnel'))
    assert.equal(await third.ended(), 'reset')
    await bed.tap.until('connection.refused', { code: 'ERR_HANDSHAKE_LIMIT' })
    for (const connection of silent) connection.end()
    for (const connection of silent) await connection.ended()
    await bed.agent()
  })
})
