/** The recorded ngrok 1.7 server against our agent: what it sent is sent again, byte for byte but for ids. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TLSSocket } from 'node:tls'
import { defaultTimings, type TunnelSpec } from '../../src/agent/options.ts'
import { decodeFrame } from '../../src/wire/codec.ts'
import type { Wire } from '../agent/fake-relay.ts'
import { startAgent, startRelay, startService, tcpTunnel } from '../agent/setup.ts'
import { frameOf, framesOf, mapped, twoWrites } from './script.ts'

const clientId = 'af129b89b18621f56d6ccb99e71f3b40'

/** Sends a frame as 1.7 does. */
function send(wire: Wire, frame: Buffer): void {
  for (const part of twoWrites(frame)) wire.socket.write(part)
}

/** Reads `Auth`: 1.x's fields as recorded, and our offer, which a 1.x server does not see. */
async function expectAuth(wire: Wire, recordedId: number, ClientId: string): Promise<void> {
  const { Extensions, ...auth } = await wire.expect('Auth')
  assert.ok(Extensions !== undefined)
  const recorded = decodeFrame(frameOf(recordedId, 'agent', 'Auth'))
  assert.ok(recorded.type === 'Auth')
  assert.deepEqual({ ...auth, OS: 'linux', Arch: 'amd64' }, { ...recorded, ClientId })
}

/** Reads a `ReqTunnel`, which must be the recorded one but for its id, and returns the id. */
async function expectRequest(
  wire: Wire,
  id: number,
  nth: number,
  changes: Readonly<Record<string, string>> = {},
): Promise<string> {
  const request = await wire.expect('ReqTunnel')
  const recorded = decodeFrame(frameOf(id, 'agent', 'ReqTunnel', nth))
  assert.ok(recorded.type === 'ReqTunnel')
  // deepEqual also says that no field of ours is there.
  assert.deepEqual(request, { ...recorded, ReqId: request.ReqId, ...changes })
  return request.ReqId
}

/** Sends the recorded `NewTunnel`s of connection 1 or 10, for the agent's ids. */
function announce(wire: Wire, id: number, reqIds: readonly string[]): void {
  for (const nth of [1, 2, 3]) {
    const frame = frameOf(id, 'relay', 'NewTunnel', nth)
    const recordedId = /"ReqId":"([0-9a-f]+)"/.exec(String(frame))?.[1] ?? ''
    send(wire, mapped(frame, { [recordedId]: reqIds[nth === 3 ? 1 : 0] ?? '' }))
  }
}

describe('the recorded ngrok 1.7 server', () => {
  it('is understood, and sent nothing that it does not know', async (t) => {
    const relay = await startRelay(t)
    const service = await startService(t)
    const base = tcpTunnel(service.port)
    const web: TunnelSpec = { ...base, protocol: 'http+https', subdomain: 'web', httpAuth: 'user:pass' }
    const raw: TunnelSpec = { ...base, subdomain: 'raw', remotePort: 17_777 }
    const { log, up } = startAgent(t, relay.port, web, {
      tunnels: [web, raw],
      token: 'tok1',
      plain: true,
      timings: { ...defaultTimings, heartbeat: { intervalMs: 300, silenceMs: 60_000 } },
    })

    // Connection 1: `ReqProxy` comes before any tunnel.
    const control = await relay.connections.next()
    await expectAuth(control, 1, '')
    send(control, frameOf(1, 'relay', 'AuthResp'))
    send(control, frameOf(1, 'relay', 'ReqProxy'))
    const reqIds = [await expectRequest(control, 1, 1), await expectRequest(control, 1, 2)]

    // Connection 2: registered with the very bytes of the real client.
    const first = await relay.connections.next()
    assert.ok(first.socket instanceof TLSSocket)
    const reg = frameOf(2, 'agent', 'RegProxy')
    assert.deepEqual(await first.bytes(reg.length), reg)
    announce(control, 1, reqIds)
    await up
    await log.line('tunnel.up', 3)

    // A visitor over http: StartProxy in two records, the payload in a third.
    send(first, frameOf(2, 'relay', 'StartProxy'))
    first.socket.write(framesOf(2, 'relay').payload)
    const served = await service.visitors.next()
    assert.deepEqual(await served.bytes(framesOf(2, 'relay').payload.length), framesOf(2, 'relay').payload)
    served.socket.end(framesOf(2, 'agent').payload)
    assert.deepEqual(await first.rest(), framesOf(2, 'agent').payload)
    first.socket.end()

    // A visitor over tcp: StartProxy and payload in one record.
    send(control, frameOf(1, 'relay', 'ReqProxy', 2))
    const second = await relay.connections.next()
    assert.deepEqual(await second.bytes(reg.length), frameOf(3, 'agent', 'RegProxy'))
    second.socket.write(Buffer.concat([frameOf(3, 'relay', 'StartProxy'), framesOf(3, 'relay').payload]))
    const servedRaw = await service.visitors.next()
    assert.deepEqual(await servedRaw.bytes(framesOf(3, 'relay').payload.length), framesOf(3, 'relay').payload)
    second.socket.end()
    await servedRaw.rest()
    servedRaw.socket.end(framesOf(3, 'agent').payload)
    assert.deepEqual(await second.rest(), framesOf(3, 'agent').payload)

    // Heartbeats, with the very bytes of the real client.
    const ping = frameOf(1, 'agent', 'Ping')
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await control.bytes(ping.length), ping)
      send(control, frameOf(1, 'relay', 'Pong'))
    }

    // The server restarts. Connection 10: the id and the addresses again, announced in another order.
    control.socket.destroy()
    const again = await relay.connections.next()
    await expectAuth(again, 10, clientId)
    send(again, frameOf(10, 'relay', 'AuthResp'))
    send(again, frameOf(10, 'relay', 'ReqProxy'))
    // 1.7 takes the protocols from a Go map, in any order; our order does not change.
    const later = [await expectRequest(again, 10, 1, { Protocol: 'http+https' }), await expectRequest(again, 10, 2)]
    announce(again, 10, later)
    assert.equal((await log.line('tunnel.up', 6)).fields['url'], 'tcp://localhost:17777')
  })

  it('ends the agent when the name is taken', async (t) => {
    const relay = await startRelay(t)
    const { up } = startAgent(t, relay.port, { ...tcpTunnel(1), protocol: 'http', subdomain: 'web' }, { token: 'tok2' })
    const control = await relay.connections.next()
    await expectAuth(control, 6, '')
    send(control, frameOf(6, 'relay', 'AuthResp'))
    send(control, frameOf(6, 'relay', 'ReqProxy'))
    await expectRequest(control, 6, 1)
    send(control, frameOf(6, 'relay', 'NewTunnel'))
    await assert.rejects(up, {
      code: 'ERR_AGENT_REFUSED',
      message: 'the relay refused: The tunnel http://web.localhost:18080 is already registered.',
    })
    await control.end()
  })
})
