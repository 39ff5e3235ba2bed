import assert from 'node:assert/strict'
import { it } from 'node:test'
import { dataPlane, startAgent, startEcho, tcpTunnel } from '../agent/setup.ts'
import { FrameSocket } from '../relay/frame-socket.ts'
import { RelayBed, token } from '../relay/relay-bed.ts'

it('proxy connections resume the TLS session of those before them', async (t) => {
  const bed = await RelayBed.start(t, {}, [], dataPlane)
  const { up } = startAgent(t, bed.port('tunnel'), tcpTunnel(await startEcho(t)), {
    token,
    trust: { kind: 'none' },
    // On lanes there would be a handshake now and then.
    lanes: false,
  })
  const [url = ''] = await up
  const visits = 12
  const { handshakes: before } = dataPlane.stats().total
  for (let i = 0; i < visits; i++) {
    const visitor = await FrameSocket.plain(Number(new URL(url).port))
    visitor.write('hello')
    assert.equal(await visitor.read(5), 'hello')
    visitor.end()
    assert.equal(await visitor.ended(), 'fin')
  }
  const { handshakes: after } = dataPlane.stats().total
  // Each is counted at either end.
  const done = after.done - before.done
  const resumed = after.resumed - before.resumed
  t.diagnostic(`${done} handshakes, ${resumed} resumed`)
  assert(done >= visits, `${done} handshakes`)
  // Those that are opened at once, before any has its ticket, can't be; how many that are is a matter of load. And Node's
  // TLS, below streams, sends no ticket with a resumed handshake.
  assert(resumed >= done * (dataPlane.stats().tls.by === 'native' ? 0.5 : 0.3), `${resumed} of ${done} were resumed`)
})
