import { strict as assert } from 'node:assert'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Endpoint, TlsOptions } from '../../src/dataplane/types.ts'
import { type Identity, makeAuthority } from './harness/certificates.ts'
import { type Bench, contract, joins, tcp, together, unix } from './harness/contract.ts'
import { collect, endpointOf, rejects } from './harness/raw.ts'
import { nodeSession, tlsOptions } from './harness/tls-bed.ts'
import { eventually, sleep } from './harness/wait.ts'

const authority = await makeAuthority('millrace contract tests')
const stranger = await makeAuthority('somebody else')
const where = { who: joins, on: [tcp, unix] }
const onTcp = { who: joins, on: [tcp] }

/** A secured endpoint in the role, and Node's session at the far end. */
async function secured(
  bench: Bench,
  role: 'server' | 'client',
): Promise<{ readonly endpoint: Endpoint; readonly session: TLSSocket }> {
  const { plane } = bench.contestant
  assert.ok(plane)
  const { endpoint: plain, socket } = await endpointOf(bench)
  const [endpoint, session] = await Promise.all([
    plane.secure(plain, tlsOptions(role, authority)),
    nodeSession(socket, role, authority),
  ])
  bench.t.after(() => {
    endpoint.destroy('reset')
  })
  return { endpoint, session }
}

/** The code that a handshake fails with, for what the far end does. */
async function failure(
  bench: Bench,
  options: TlsOptions,
  farEnd: (socket: Socket) => Socket,
  ...codes: Parameters<typeof rejects>[1][]
): Promise<string> {
  const { plane } = bench.contestant
  assert.ok(plane)
  const { endpoint, socket } = await endpointOf(bench)
  const outcome = rejects(plane.secure(endpoint, options), ...codes)
  const watched = collect(farEnd(socket))
  const error = await outcome
  // The plain endpoint is used up: its peer sees an end.
  await watched.ended
  return error.message
}

/** A server of Node's with the wrong papers. */
function impostor(identity: Identity): (socket: Socket) => Socket {
  return (socket) => {
    const session = new TLSSocket(socket, { isServer: true, ...identity })
    session.on('error', () => undefined)
    return session
  }
}

together('TLS endpoints', () => {
  for (const role of ['server', 'client'] as const) {
    contract(`tls endpoint: reads and writes as ${role}`, where, async (bench) => {
      const { endpoint, session } = await secured(bench, role)
      assert.equal(endpoint.encrypted, true)
      assert.equal(endpoint.serverName, role === 'server' ? 'localhost' : '')
      session.write('one\ntw')
      const line = (bytes: Buffer): number => bytes.indexOf('\n') + 1
      assert.equal((await endpoint.readHead(line, 100, 30_000)).toString(), 'one\n')
      await rejects(endpoint.readHead(line, 100, 100), 'ERR_ENDPOINT_READ_TIMEOUT')
      session.write('o\n')
      assert.equal((await endpoint.readHead(line, 100, 30_000)).toString(), 'two\n')
      const received = collect(session)
      for (let count = 0; count < 50; count++) endpoint.write(Buffer.alloc(10_000, count))
      await endpoint.flushed()
      endpoint.destroy()
      assert.equal(await received.ended, 'fin')
      assert.equal(received.bytes().length, 500_000)
    })

    contract(`tls endpoint: a pooled one whose peer goes away is told, as ${role}`, onTcp, async (bench) => {
      const gone = await secured(bench, role)
      const story: string[] = []
      gone.endpoint.onClosed((how) => {
        story.push(how)
      })
      gone.session.end()
      await eventually('onClosed', () => story.length > 0)
      assert.equal(story[0], 'fin')
      assert.equal((await gone.endpoint.read(30_000)).length, 0)
    })

    contract(`tls endpoint: garbage instead of a handshake, as ${role}`, where, async (bench) => {
      const message = await failure(
        bench,
        tlsOptions(role, authority),
        (socket) => {
          socket.write('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n')
          return socket
        },
        'ERR_TLS',
      )
      assert.doesNotMatch(message, /PRIVATE KEY/)
    })

    contract(`tls endpoint: silence, as ${role}`, where, async (bench) => {
      const began = performance.now()
      const options = { ...tlsOptions(role, authority), handshakeTimeoutMs: 300 }
      const message = await failure(bench, options, (socket) => socket, 'ERR_TLS_TIMEOUT')
      const took = performance.now() - began
      assert.ok(took > 200 && took < 8_000, `${took} ms`)
      assert.match(message, /300 ms/)
    })

    contract(`tls endpoint: a peer that leaves during the handshake, as ${role}`, onTcp, async (bench) => {
      const codes = ['ERR_TLS', 'ERR_ENDPOINT_RESET', 'ERR_ENDPOINT_CLOSED', 'ERR_ENDPOINT_ENDED'] as const
      await failure(bench, tlsOptions(role, authority), (socket) => socket.end(), ...codes)
      await failure(bench, tlsOptions(role, authority), (socket) => socket.resetAndDestroy(), ...codes)
    })
  }

  contract('tls endpoint: a certificate of an unknown authority', onTcp, async (bench) => {
    await failure(bench, tlsOptions('client', authority), impostor(stranger.localhost), 'ERR_TLS')
  })

  contract('tls endpoint: a certificate for another name', onTcp, async (bench) => {
    await failure(bench, tlsOptions('client', authority), impostor(authority.other), 'ERR_TLS')
  })

  contract('tls endpoint: a private authority is none of the system', onTcp, async (bench) => {
    const options = { role: 'client', serverName: 'localhost', trust: { kind: 'system' } } as const
    await failure(bench, options, impostor(authority.localhost), 'ERR_TLS')
  })

  contract('tls endpoint: an address is checked, too', onTcp, async (bench) => {
    const { plane } = bench.contestant
    assert.ok(plane)
    const trust = { kind: 'ca', pem: authority.ca } as const
    await failure(bench, { role: 'client', serverName: '127.0.0.2', trust }, impostor(authority.localhost), 'ERR_TLS')
    const { endpoint, socket } = await endpointOf(bench)
    const [good] = await Promise.all([
      plane.secure(endpoint, { role: 'client', serverName: '127.0.0.1', trust }),
      nodeSession(socket, 'client', authority),
    ])
    good.destroy('reset')
  })

  contract('tls endpoint: a certificate given as the authority is trusted, whoever issued it', onTcp, async (bench) => {
    const { plane } = bench.contestant
    assert.ok(plane)
    const trust = { kind: 'ca', pem: authority.localhost.cert } as const
    const { endpoint, socket } = await endpointOf(bench)
    const [good] = await Promise.all([
      plane.secure(endpoint, { role: 'client', serverName: 'localhost', trust }),
      nodeSession(socket, 'client', authority),
    ])
    good.destroy('reset')
  })

  contract('tls endpoint: trust in nothing is trust in anybody, if the user says so', onTcp, async (bench) => {
    const { plane } = bench.contestant
    assert.ok(plane)
    const { endpoint, socket } = await endpointOf(bench)
    const [good] = await Promise.all([
      plane.secure(endpoint, { role: 'client', serverName: 'localhost', trust: { kind: 'none' } }),
      nodeSession(socket, 'client', { ...authority, localhost: stranger.other }),
    ])
    assert.equal(good.encrypted, true)
    good.destroy('reset')
  })

  contract('tls endpoint: a server says what it was asked for', onTcp, async (bench) => {
    const { plane } = bench.contestant
    assert.ok(plane)
    const { endpoint, socket } = await endpointOf(bench)
    const asked = nodeSession(socket, 'server', authority, 'other.example')
    const good = await plane.secure(endpoint, { role: 'server', ...authority.other })
    await asked
    assert.equal(good.serverName, 'other.example')
    good.destroy('reset')
  })

  contract('tls endpoint: a handshake needs an endpoint that is free', onTcp, async (bench) => {
    const { plane } = bench.contestant
    assert.ok(plane)
    const { endpoint } = await endpointOf(bench)
    endpoint.destroy('reset')
    await rejects(plane.secure(endpoint, tlsOptions('server', authority)), 'ERR_ENDPOINT_CLOSED')
  })

  contract('pitfall 9: last words over TLS reach a peer that is still sending', onTcp, async (bench) => {
    const { endpoint, session } = await secured(bench, 'server')
    session.pause()
    session.write('GET /')
    assert.equal((await endpoint.read(30_000)).length, 5)
    endpoint.write(Buffer.alloc(2_000, 'x'))
    endpoint.destroy('fin')
    await sleep(30)
    session.write(Buffer.alloc(32_000))
    await sleep(50)
    const received = collect(session)
    assert.equal(await received.ended, 'fin')
    assert.equal(received.bytes().length, 2_000)
  })
})
