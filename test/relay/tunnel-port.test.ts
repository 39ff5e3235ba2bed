import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createDataPlane } from '../../src/dataplane/create.ts'
import { Refusals } from '../../src/observe/refusals.ts'
import { Access } from '../../src/relay/access.ts'
import { makeCertificate } from '../../src/relay/certificates.ts'
import { ControlRegistry } from '../../src/relay/control-registry.ts'
import type { Login } from '../../src/relay/login.ts'
import { TunnelPort } from '../../src/relay/tunnel-port.ts'
import { encodeMessage } from '../../src/wire/codec.ts'
import { FrameSocket } from './frame-socket.ts'
import { LogTap } from './log-tap.ts'

const timeMs = 400

/** A tunnel port with little patience; resolves with its port. */
async function listen(t: TestContext, tap: LogTap): Promise<number> {
  const dataPlane = createDataPlane()
  const certificate = await makeCertificate(['localhost'])
  const tunnelPort = new TunnelPort({
    dataPlane,
    certificate: () => certificate,
    login: {} as Login,
    sessions: new ControlRegistry(),
    limits: { handshakes: 10, handshakesPerAddress: 1_000, failedHandshakeRate: 1_000, rateAddresses: 10 },
    allowPlain: true,
    access: new Access({ allow: [], deny: [] }),
    refusals: new Refusals(tap.log),
    firstMessageMs: timeMs,
  })
  const listener = await dataPlane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
    for (const endpoint of batch) tunnelPort.serve(endpoint)
  })
  t.after(() => listener.close())
  assert(listener.address.family !== 'unix')
  return listener.address.port
}

const half = encodeMessage({ type: 'RegProxy', ClientId: 'x'.repeat(32) }).subarray(0, 40)

describe('the time for a first message', () => {
  for (const [name, kind, bytes] of [
    ['silence', 'plain', ''],
    ['two bytes', 'plain', Buffer.of(0x16, 0x03)],
    ['the beginning of a ClientHello', 'plain', Buffer.of(0x16, 0x03, 0x01, 0x02, 0x00)],
    ['half a frame', 'plain', half],
    ['silence after the handshake', 'tls', ''],
    ['half a frame inside TLS', 'tls', half],
  ] as const) {
    it(`ends with one log line and a close: ${name}`, async (t) => {
      const tap = new LogTap()
      const port = await listen(t, tap)
      const begun = performance.now()
      const connection = await FrameSocket[kind](port)
      t.after(() => connection.destroy())
      if (bytes !== '') connection.write(bytes)
      await connection.ended()
      const took = performance.now() - begun
      assert(took > timeMs * 0.8, `ended after ${took} ms`)
      await tap.until('connection.refused')
      assert.equal(tap.all('connection.refused').length, 1)
    })
  }

  it('is for the whole of it: bytes that trickle in do not prolong it', async (t) => {
    const tap = new LogTap()
    const port = await listen(t, tap)
    const connection = await FrameSocket.plain(port)
    t.after(() => connection.destroy())
    let at = 0
    const trickle = setInterval(() => connection.write(half.subarray(at, ++at)), 50)
    t.after(() => clearInterval(trickle))
    await connection.ended()
    assert(at < half.length, 'it ended while bytes were still coming')
  })
})
