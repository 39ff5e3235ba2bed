import { strict as assert } from 'node:assert'
import { createHash, X509Certificate } from 'node:crypto'
import { connect, TLSSocket } from 'node:tls'
import type { DataPlane, Endpoint, TlsOptions, TlsTrust } from '../../src/dataplane/types.ts'
import { makeAuthority } from './harness/certificates.ts'
import { type Bench, contract, joins, tcp, together } from './harness/contract.ts'
import { collect, endpointOf, rejects } from './harness/raw.ts'
import { NodeServer } from './harness/sockets.ts'
import { nodeSession, tlsOptions } from './harness/tls-bed.ts'
import { eventually, within } from './harness/wait.ts'

const authority = await makeAuthority('millrace contract tests')
const stranger = await makeAuthority('somebody else')
const onTcp = { who: joins, on: [tcp] }

function planeOf({ contestant }: Bench): DataPlane {
  assert.ok(contestant.plane)
  return contestant.plane
}

function pinOf(pem: string, encoding: 'base64' | 'hex'): string {
  const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(key).digest(encoding)
}

/** Client and server endpoints of the plane, with a word each way: tickets come behind the handshake. */
async function pair(
  bench: Bench,
  client: TlsOptions,
  server: TlsOptions,
  target: { readonly listener: Awaited<ReturnType<DataPlane['listen']>>; readonly next: () => Promise<Endpoint> },
): Promise<readonly [Endpoint, Endpoint]> {
  const plane = planeOf(bench)
  const { address } = target.listener
  assert.ok(address.family !== 'unix')
  const [dialed, accepted] = await Promise.all([plane.dial(address), target.next()])
  const both = await Promise.all([plane.secure(dialed, client), plane.secure(accepted, server)])
  for (const [from, to] of [both, [both[1], both[0]] as const]) {
    from.write(Buffer.from('word'))
    assert.equal((await to.readHead((bytes) => (bytes.length < 4 ? 0 : 4), 100, 30_000)).toString(), 'word')
  }
  bench.t.after(() => {
    for (const one of both) one.destroy('reset')
  })
  return both
}

/** A listener whose endpoints are taken one by one. */
async function door(bench: Bench): Promise<Parameters<typeof pair>[3]> {
  const arrived: Endpoint[] = []
  const listener = await planeOf(bench).listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => arrived.push(...batch))
  bench.t.after(() => listener.close())
  const next = async (): Promise<Endpoint> => {
    await eventually('an endpoint arrives', () => arrived.length > 0)
    const endpoint = arrived.shift()
    assert.ok(endpoint)
    return endpoint
  }
  return { listener, next }
}

/** A client endpoint in a handshake with a server of Node's. */
async function dialedTo(bench: Bench, trust: TlsTrust, serverName = 'localhost'): Promise<Endpoint> {
  const { endpoint, socket } = await endpointOf(bench)
  const session = new TLSSocket(socket, { isServer: true, ...authority.localhost })
  session.on('error', () => undefined)
  session.resume()
  return await planeOf(bench).secure(endpoint, { role: 'client', serverName, trust })
}

together('TLS settings', () => {
  contract('tls settings: a session is used again, for the same address, name and trust only', onTcp, async (bench) => {
    const client = tlsOptions('client', authority)
    const server = tlsOptions('server', authority)
    const [one, other] = [await door(bench), await door(bench)]
    const before = planeOf(bench).stats().total.handshakes
    const first = await pair(bench, client, server, one)
    assert.deepEqual([first[0].tls?.resumed, first[1].tls?.resumed], [false, false])
    const again = await pair(bench, client, server, one)
    assert.deepEqual([again[0].tls?.resumed, again[1].tls?.resumed], [true, true])
    assert.equal(again[1].serverName, 'localhost')
    const elsewhere = await pair(bench, client, server, other)
    assert.equal(elsewhere[0].tls?.resumed, false, 'another address')
    const named = await pair(bench, { ...client, serverName: '127.0.0.1' } as TlsOptions, server, one)
    assert.equal(named[0].tls?.resumed, false, 'another name')
    const trusting = await pair(bench, { ...client, trust: { kind: 'none' } } as TlsOptions, server, one)
    assert.equal(trusting[0].tls?.resumed, false, 'another trust')
    const after = planeOf(bench).stats().total.handshakes
    assert.ok(after.done - before.done >= 10 && after.resumed - before.resumed >= 2, JSON.stringify(after))
  })

  contract('tls settings: a session with a pinned key is used again', onTcp, async (bench) => {
    const trust = { kind: 'pin', sha256: [pinOf(authority.localhost.cert, 'hex')] } as const
    const client = { ...tlsOptions('client', authority), trust } as TlsOptions
    const target = await door(bench)
    for (const resumed of [false, true, true]) {
      const [near] = await within(pair(bench, client, tlsOptions('server', authority), target), 'secure()')
      assert.equal(near.tls?.resumed, resumed)
    }
  })

  contract('tls settings: a ticket of one front is none at another', onTcp, async (bench) => {
    const client = tlsOptions('client', authority)
    const server = tlsOptions('server', authority)
    const target = await door(bench)
    await pair(bench, client, { ...server, front: 'one' } as TlsOptions, target)
    const [elsewhere] = await pair(bench, client, { ...server, front: 'other' } as TlsOptions, target)
    assert.equal(elsewhere.tls?.resumed, false)
  })

  contract('tls settings: what was agreed on', onTcp, async (bench) => {
    const alpn = ['http/1.1']
    const target = await door(bench)
    const client = { ...tlsOptions('client', authority), alpn }
    const [near, far] = await pair(bench, client, { ...tlsOptions('server', authority), alpn: ['h2', ...alpn] }, target)
    for (const { tls } of [near, far]) {
      assert.deepEqual([tls?.version, tls?.alpn, tls?.resumed], ['TLSv1.3', 'http/1.1', false])
      assert.match(tls?.cipher ?? '', /^TLS_/)
    }
  })

  contract('tls settings: a pinned key is trusted, whoever signed it, and no other', onTcp, async (bench) => {
    for (const encoding of ['base64', 'hex'] as const) {
      const pins = [pinOf(stranger.other.cert, encoding), pinOf(authority.localhost.cert, encoding)]
      const good = await within(dialedTo(bench, { kind: 'pin', sha256: pins }, 'any.name'), 'secure()')
      good.destroy('reset')
    }
    const wrong = dialedTo(bench, { kind: 'pin', sha256: [pinOf(stranger.other.cert, 'hex')] })
    assert.match((await rejects(wrong, 'ERR_TLS')).message, /pinned.*localhost.*PIN_MISMATCH/)
    const nonsense = dialedTo(bench, { kind: 'pin', sha256: ['12:34'] })
    await rejects(nonsense, 'ERR_OPTION')
  })

  contract('tls settings: only ECDHE with AEAD of TLS 1.2, and a minimum that can be raised', onTcp, async (bench) => {
    const attempt = async (options: TlsOptions, ciphers?: string): Promise<Endpoint> => {
      const { endpoint, socket } = await endpointOf(bench)
      const limits = { maxVersion: 'TLSv1.2', ...(ciphers !== undefined && { ciphers }) } as const
      const client = connect({ socket, ca: authority.ca, servername: 'localhost', ...limits })
      client.on('error', () => undefined)
      client.resume()
      return await planeOf(bench).secure(endpoint, options)
    }
    const options = tlsOptions('server', authority)
    const old = await within(attempt(options), 'secure()')
    assert.equal(old.tls?.version, 'TLSv1.2')
    assert.match(old.tls?.cipher ?? '', /^ECDHE-ECDSA-(AES\d+-GCM|CHACHA20)/)
    old.destroy('reset')
    await rejects(attempt(options, 'ECDHE-ECDSA-AES128-SHA256'), 'ERR_TLS')
    await rejects(attempt({ ...options, minVersion: 'TLSv1.3' }), 'ERR_TLS')
  })

  for (const truncation of ['fin', 'reset'] as const) {
    contract(`tls settings: a peer that is cut off, truncation '${truncation}'`, onTcp, async (bench) => {
      const plane = planeOf(bench)
      const { endpoint, socket } = await endpointOf(bench)
      const server = await NodeServer.listen('tcp')
      const before = plane.stats().total
      const [near, session] = await Promise.all([
        plane.secure(endpoint, { ...tlsOptions('server', authority), truncation }),
        nodeSession(socket, 'server', authority),
      ])
      const join = plane.joinTo(near, server.target)
      const local = await server.next()
      const service = collect(local)
      server.close()
      session.write('all but the end')
      await eventually('the bytes', () => service.bytes().length === 15)
      // The connection alone: the session below it says nothing.
      socket.end()
      assert.equal(await service.ended, truncation === 'fin' ? 'fin' : 'ECONNRESET')
      local.end()
      const { reason, aToB, errno } = await within(join.done, 'done')
      assert.deepEqual([reason, aToB, errno], ['truncated', 15n, ''])
      assert.equal(plane.stats().total.truncated - before.truncated >= 1, true)
      assert.equal(plane.stats().total.ended.truncated - before.ended.truncated >= 1, true)
    })

    contract(`tls settings: reading from a peer that is cut off, truncation '${truncation}'`, onTcp, async (bench) => {
      const { endpoint, socket } = await endpointOf(bench)
      const [near, session] = await Promise.all([
        planeOf(bench).secure(endpoint, { ...tlsOptions('server', authority), truncation }),
        nodeSession(socket, 'server', authority),
      ])
      session.write('word')
      assert.equal((await near.readHead((bytes) => (bytes.length < 4 ? 0 : 4), 100, 30_000)).toString(), 'word')
      socket.end()
      if (truncation === 'fin') assert.equal((await near.read(30_000)).length, 0)
      else await rejects(near.read(30_000), 'ERR_ENDPOINT_RESET')
      near.destroy('reset')
    })
  }

  contract('tls settings: TLS within TLS, and options that make no sense, are refused', onTcp, async (bench) => {
    const plane = planeOf(bench)
    const { endpoint, socket } = await endpointOf(bench)
    for (const bad of [{ alpn: [''] }, { minVersion: 'TLSv1.1' }, { truncation: 'maybe' }, { handshakeTimeoutMs: 0 }]) {
      await rejects(plane.secure(endpoint, { ...tlsOptions('server', authority), ...bad } as TlsOptions), 'ERR_OPTION')
    }
    const [near] = await Promise.all([
      plane.secure(endpoint, tlsOptions('server', authority)),
      nodeSession(socket, 'server', authority),
    ])
    await rejects(plane.secure(near, tlsOptions('server', authority)), 'ERR_OPTION')
    near.destroy('reset')
  })
})
