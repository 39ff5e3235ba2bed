/** The recorded ngrok 1.7 client against our relay: what it sent is sent again, byte for byte but for ids and ports. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { defaultSettings, type RelaySettings } from '../../src/config/relay-settings.ts'
import { createDataPlane } from '../../src/dataplane/create.ts'
import { silentLogger } from '../../src/observe/log.ts'
import type { RelayRole } from '../../src/relay/inheritance.ts'
import { Relay } from '../../src/relay/relay.ts'
import { within } from '../agent/events.ts'
import { Wire } from '../agent/fake-relay.ts'
import { deadPort } from '../agent/setup.ts'
import { Client17 } from './client17.ts'
import { frameOf, framesOf, mapped } from './script.ts'

const ids = {
  first: 'af129b89b18621f56d6ccb99e71f3b40',
  second: '7690e98bfbeb37fe8ae3778a3ec1135e',
  third: 'e8291e01118997e0491598118851f0a0',
}
const dataPlane = createDataPlane()

it('the recorded ngrok 1.7 client is served, conversation by conversation', async (t) => {
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-interop-'))
  const tcpPort = await deadPort()
  const clients: Client17[] = []
  const any = { host: '127.0.0.1', port: 0 }
  const settings: RelaySettings = {
    ...defaultSettings(),
    tunnelAddr: any,
    httpAddr: any,
    httpsAddr: any,
    stateDir,
    tokens: ['tok1', 'tok2', 'tok3'].map((name) => ({
      name,
      sha256: createHash('sha256').update(name).digest('hex'),
    })),
  }
  let relay = await Relay.start({ settings, dataPlane, log: silentLogger })
  t.after(async () => {
    for (const client of clients) client.destroy()
    await relay.stop(0)
    await rm(stateDir, { recursive: true, force: true })
  })
  const port = (role: RelayRole): number => {
    const address = relay.address(role)
    assert.ok(address !== undefined && address.family !== 'unix')
    return address.port
  }
  const [tunnelPort, httpPort, httpsPort] = [port('tunnel'), port('http'), port('https')]
  const ports = { '18080': String(httpPort), '18443': String(httpsPort), '17777': String(tcpPort) }
  // 1.7 announced https tunnels on the http port (and the reverse): the one answer that must differ.
  const right = (url: string) =>
    url.replace(/^(https?):(.*):\d+$/, (_, s, h) => `${s}:${h}:${s === 'http' ? httpPort : httpsPort}`)
  const announced = (id: number, nth: number) => {
    const recordedUrl = /"Url":"([^"]+)"/.exec(String(frameOf(id, 'relay', 'NewTunnel', nth)))?.[1] ?? ''
    return mapped(mapped(frameOf(id, 'relay', 'NewTunnel', nth), { [recordedUrl]: right(recordedUrl) }), ports)
  }
  const login = async (id: number, auth: Buffer) => {
    const client = new Client17(tunnelPort)
    clients.push(client)
    const { answer, clientId } = await client.login(auth)
    assert.match(clientId, /^[0-9a-f]{32}$/)
    const recordedId = /"ClientId":"([^"]+)"/.exec(String(frameOf(id, 'relay', 'AuthResp')))?.[1] ?? ''
    assert.deepEqual(String(answer), String(mapped(frameOf(id, 'relay', 'AuthResp'), { [recordedId]: clientId })))
    return { client, clientId }
  }

  // Connection 1: http+https and tcp.
  const { client: one, clientId: oneId } = await login(1, frameOf(1, 'agent', 'Auth'))
  assert.notEqual(oneId, ids.first)
  one.control.send(frameOf(1, 'agent', 'ReqTunnel', 1))
  one.control.send(mapped(frameOf(1, 'agent', 'ReqTunnel', 2), ports))
  for (const nth of [1, 2, 3]) assert.equal(String(await one.answers.next()), String(announced(1, nth)))
  assert.ok(one.reqProxies > 0)

  // Connection 2: a visitor over http, with the password that the tunnel asks for.
  const web = new Wire(await dial(httpPort))
  web.socket.write(String(framesOf(2, 'relay').payload).replace(':18080', `:${httpPort}`))
  const webVisit = await one.visitors.next()
  assertStart(webVisit.start, mapped(frameOf(2, 'relay', 'StartProxy'), ports), web.socket)
  assert.match(String(await webVisit.connection.payload.next()), /^GET \/one HTTP\/1\.1\r\n/)
  webVisit.connection.socket.end(framesOf(2, 'agent').payload)
  const answer = String(await web.rest())
  assert.match(answer, /^HTTP\/1\.1 200 /)
  assert.ok(answer.endsWith(`\r\n\r\n${'0123456789'.repeat(6)}0123`))

  // Connection 3: a visitor over tcp, whose bytes are nobody's business.
  const raw = new Wire(await dial(tcpPort))
  raw.socket.write(framesOf(3, 'relay').payload)
  const rawVisit = await one.visitors.next()
  assertStart(rawVisit.start, mapped(frameOf(3, 'relay', 'StartProxy'), ports), raw.socket)
  let seen = ''
  while (seen.length < framesOf(3, 'relay').payload.length) seen += String(await rawVisit.connection.payload.next())
  assert.equal(seen, String(framesOf(3, 'relay').payload))
  rawVisit.connection.socket.end(framesOf(3, 'agent').payload)
  assert.equal(String(await raw.rest()), String(framesOf(3, 'agent').payload))

  // Connection 6: another token asks for the name that is taken. All fields are there, and only Error is not empty.
  const { client: two } = await login(6, frameOf(6, 'agent', 'Auth'))
  two.control.send(frameOf(6, 'agent', 'ReqTunnel'))
  const refusal = String((await two.answers.next()).subarray(8))
  assert.match(refusal, /^\{"Type":"NewTunnel","Payload":\{"ReqId":"","Url":"","Protocol":"","Error":"[^"]+"\}\}$/)
  two.destroy()

  // Connection 8: a third client, another name.
  const { client: three, clientId: threeId } = await login(8, frameOf(8, 'agent', 'Auth'))
  three.control.send(frameOf(8, 'agent', 'ReqTunnel'))
  assert.equal(String(await three.answers.next()), String(announced(8, 1)))

  // Pings of both.
  for (const [id, client] of [
    [1, one],
    [8, three],
  ] as const) {
    client.control.send(frameOf(id, 'agent', 'Ping'))
    assert.deepEqual(await client.answers.next(), frameOf(id, 'relay', 'Pong'))
  }

  // The relay restarts: every connection ends, and the clients come back with their ids.
  await relay.stop(0)
  await within(Promise.all([one.control.ended, three.control.ended]), 'the control connections to end')
  const sameAddresses = {
    tunnelAddr: { ...any, port: tunnelPort },
    httpAddr: { ...any, port: httpPort },
    httpsAddr: { ...any, port: httpsPort },
  }
  relay = await Relay.start({ settings: { ...settings, ...sameAddresses }, dataPlane, log: silentLogger })

  // Connections 10 and 11: the same addresses again, the protocols in another order.
  const again = await login(10, mapped(frameOf(10, 'agent', 'Auth'), { [ids.first]: oneId }))
  assert.equal(again.clientId, oneId)
  again.client.control.send(frameOf(10, 'agent', 'ReqTunnel', 1))
  again.client.control.send(mapped(frameOf(10, 'agent', 'ReqTunnel', 2), ports))
  for (const nth of [1, 2, 3]) assert.equal(String(await again.client.answers.next()), String(announced(10, nth)))
  const last = await login(11, mapped(frameOf(11, 'agent', 'Auth'), { [ids.third]: threeId }))
  assert.equal(last.clientId, threeId)
  last.client.control.send(frameOf(11, 'agent', 'ReqTunnel'))
  assert.equal(String(await last.client.answers.next()), String(announced(11, 1)))
})

/** `StartProxy` as recorded, with this visitor's address. */
function assertStart(start: Buffer, expected: Buffer, visitor: Socket): void {
  const recordedAddress = /"ClientAddr":"([^"]+)"/.exec(String(expected))?.[1] ?? ''
  const address = `127.0.0.1:${visitor.localPort}`
  assert.equal(String(start), String(mapped(expected, { [recordedAddress]: address })))
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  await within(new Promise((resolve) => socket.once('connect', resolve)), `a connection to ${port}`)
  return socket
}
