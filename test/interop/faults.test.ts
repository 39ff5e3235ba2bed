/** What goes wrong between ngrok 1.7 and us, from both sides: refusals, missing fields, proxy connections that die waiting. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { defaultSettings } from '../../src/config/relay-settings.ts'
import { silentLogger } from '../../src/observe/log.ts'
import { Relay } from '../../src/relay/relay.ts'
import { within } from '../agent/events.ts'
import { Wire } from '../agent/fake-relay.ts'
import {
  dataPlane,
  deadPort,
  dialPort,
  startAgent,
  startEcho,
  startRelay as startFakeRelay,
  startService,
  tcpTunnel,
} from '../agent/setup.ts'
import { Client17 } from './client17.ts'
import { frameOf, mapped } from './script.ts'

const { httpAddr: _http, httpsAddr: _https, ...withoutWeb } = defaultSettings()

async function startRelay(t: TestContext): Promise<number> {
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-interop-'))
  const sha256 = createHash('sha256').update('tok1').digest('hex')
  const relay = await Relay.start({
    settings: {
      ...withoutWeb,
      tunnelAddr: { host: '127.0.0.1', port: 0 },
      stateDir,
      tokens: [{ name: 'tok1', sha256 }],
    },
    dataPlane,
    log: silentLogger,
  })
  t.after(async () => {
    await relay.stop(0)
    await rm(stateDir, { recursive: true, force: true })
  })
  const address = relay.address('tunnel')
  assert.ok(address !== undefined && address.family !== 'unix')
  return address.port
}

function startClient(t: TestContext, port: number): Client17 {
  const client = new Client17(port)
  t.after(() => client.destroy())
  return client
}

/** A frame of this text, as third-party clients of 1.x write them. */
function frame(text: string): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigInt64LE(BigInt(Buffer.byteLength(text)))
  return Buffer.concat([length, Buffer.from(text)])
}

/** The one TCP tunnel of a client; returns its port. */
async function openTunnel(client: Client17): Promise<number> {
  const remotePort = await deadPort()
  client.control.send(mapped(frameOf(1, 'agent', 'ReqTunnel', 2), { '17777': String(remotePort) }))
  assert.match(String(await client.answers.next()), new RegExp(`:${remotePort}"`))
  return remotePort
}

describe('an ngrok 1.7 client that our relay', () => {
  it('refuses gets all fields and an Error, and then the end', async (t) => {
    const client = startClient(t, await startRelay(t))
    const { answer } = await client.login(mapped(frameOf(1, 'agent', 'Auth'), { tok1: 'wrong' }))
    assert.match(
      String(answer.subarray(8)),
      /^\{"Type":"AuthResp","Payload":\{"Version":"2","MmVersion":"1\.7","ClientId":"","Error":"[^"]+"\}\}$/,
    )
    await within(client.control.ended, 'the end of the control connection')
  })

  it('gives a visitor opens another proxy connection when those that waited are dead', async (t) => {
    const client = startClient(t, await startRelay(t))
    await client.login(frameOf(1, 'agent', 'Auth'))
    const port = await openTunnel(client)
    await client.registered(1)
    client.dropProxies()
    const visitor = new Wire(await dialPort(port))
    visitor.socket.write('hello')
    const { connection } = await client.visitors.next()
    assert.equal(String(await connection.payload.next()), 'hello')
    connection.socket.end('bye')
    assert.equal(String(await visitor.rest()), 'bye')
  })

  it('serves may leave out every field that is empty', async (t) => {
    const client = startClient(t, await startRelay(t))
    const { clientId } = await client.login(frame('{"Type":"Auth","Payload":{"Version":"2","User":"tok1"}}'))
    assert.match(clientId, /^[0-9a-f]{32}$/)
    client.control.send(frame('{"Type":"ReqTunnel","Payload":{"ReqId":"1","Protocol":"tcp"}}'))
    assert.match(
      String(await client.answers.next()),
      /"ReqId":"1","Url":"tcp:\/\/localhost:\d+","Protocol":"tcp","Error":""/,
    )
    client.control.send(frame('{"Type":"Ping","Payload":{}}'))
    assert.equal(String((await client.answers.next()).subarray(8)), '{"Type":"Pong","Payload":{}}')
  })
})

describe('our agent, with an ngrok 1.7 server that', () => {
  const url = 'tcp://localhost:17777'

  it('refuses its token, ends with the sentence', async (t) => {
    const relay = await startFakeRelay(t)
    const { up } = startAgent(t, relay.port, tcpTunnel(1))
    const control = await relay.connections.next()
    await control.expect('Auth')
    const refusal = '"ClientId":"","Error":"Authentication failed"'
    control.socket.write(
      mapped(frameOf(1, 'relay', 'AuthResp'), { '"ClientId":"af129b89b18621f56d6ccb99e71f3b40","Error":""': refusal }),
    )
    await assert.rejects(up, { code: 'ERR_AGENT_REFUSED', message: 'the relay refused: Authentication failed' })
  })

  it('ends proxy connections before StartProxy, opens those that it asks for next', async (t) => {
    const relay = await startFakeRelay(t)
    const service = await startService(t)
    const { log, up } = startAgent(t, relay.port, tcpTunnel(service.port))
    const control = await relay.connections.next()
    await control.expect('Auth')
    control.socket.write(frameOf(1, 'relay', 'AuthResp'))
    control.socket.write(frameOf(1, 'relay', 'ReqProxy'))
    const { ReqId } = await control.expect('ReqTunnel')
    control.send({ type: 'NewTunnel', ReqId, Url: url, Protocol: 'tcp', Error: '' })
    await up
    for (const how of ['end', 'destroy'] as const) {
      const idle = await relay.connections.next()
      await idle.expect('RegProxy')
      idle.socket[how]()
      control.socket.write(frameOf(1, 'relay', 'ReqProxy'))
    }
    const proxy = await relay.connections.next()
    await proxy.expect('RegProxy')
    proxy.socket.write(frameOf(3, 'relay', 'StartProxy'))
    proxy.socket.write('hello')
    const served = await service.visitors.next()
    assert.equal(String(await served.bytes(5)), 'hello')
    assert.deepEqual(log.of('agent.lost'), [])
  })

  it('leaves out what is empty, understands it all the same', async (t) => {
    const relay = await startFakeRelay(t)
    const echo = await startEcho(t)
    const { up } = startAgent(t, relay.port, tcpTunnel(echo))
    const control = await relay.connections.next()
    await control.expect('Auth')
    control.socket.write(frame('{"Type":"AuthResp","Payload":{"Version":"2","ClientId":"c"}}'))
    const { ReqId } = await control.expect('ReqTunnel')
    control.socket.write(frame(`{"Type":"NewTunnel","Payload":{"ReqId":"${ReqId}","Url":"${url}","Protocol":"tcp"}}`))
    assert.deepEqual(await up, [url])
    control.socket.write(frame('{"Type":"ReqProxy","Payload":{}}'))
    const proxy = await relay.connections.next()
    assert.equal((await proxy.expect('RegProxy')).ClientId, 'c')
    proxy.socket.write(frame(`{"Type":"StartProxy","Payload":{"Url":"${url}"}}`))
    proxy.socket.end('hello')
    assert.equal(String(await proxy.rest()), 'hello')
  })
})
