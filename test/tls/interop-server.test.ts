// The programs that people have, as clients of our TLS: both versions, bulk both ways, half-close, ALPN, SNI, tickets.
import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type ConnectionOptions, connect } from 'node:tls'
import { eventually, within } from '../contract/harness/wait.ts'
import { bulk, bulkBytes, digest, Meter } from './support/bulk.ts'
import { type Arena, authority } from './support/hostile.ts'
import { bulkService, Front, interop, listening, sums, versions } from './support/interop.ts'
import { file, goPeer, missing, Program, papers, reportOf, source, without } from './support/programs.ts'

const sent = file('sent.bin', bulk(1))
const openssl = without(missing('openssl', ['version']))
const curl = without(missing('curl', ['--version']))
const python = without(missing('python3', ['-c', 'import ssl']))
const go = without(missing('go', ['version']), true)

/** A front for a service that takes bulk, and what arrived there. */
async function bulkFront(
  arena: Arena,
  answers: Parameters<typeof bulkService>[1],
): Promise<{ front: Front; meters: Meter[] }> {
  const meters: Meter[] = []
  const front = await Front.open(arena, await listening(arena, bulkService(meters, answers)))
  return { front, meters }
}

for (const version of versions) {
  const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3'

  interop(`openssl s_client, ${version}: bulk both ways`, openssl, async (arena) => {
    const { front, meters } = await bulkFront(arena, 'behind the bytes')
    const words = ['s_client', flag, '-connect', `127.0.0.1:${front.port}`, '-servername', 'localhost', '-quiet']
    const checks = ['-CAfile', papers.ca, '-verify_return_error', '-verify_hostname', 'localhost', '-alpn', 'interop']
    const client = new Program(arena, 'openssl', [...words, ...checks], bulk(1))
    await client.done()
    assert.equal(digest(client.out), sums.answered)
    assert.equal(meters[0]?.digest, sums.sent)
    const [result] = await front.ended(1)
    assert.deepEqual([result?.aToB, result?.bToA], [BigInt(bulkBytes), BigInt(bulkBytes)])
    assert.equal(front.endpoints[0]?.serverName, 'localhost')
    arena.note(result?.reason ?? '')
  })

  interop(
    `openssl s_client, ${version}: a ticket, no early data, ALPN, and no renegotiation`,
    openssl,
    async (arena) => {
      const { front } = await bulkFront(arena, 'behind the bytes')
      const session = file(`session-${arena.plane.kind}-${version}.pem`)
      const words = [
        's_client',
        flag,
        '-connect',
        `127.0.0.1:${front.port}`,
        '-servername',
        'localhost',
        '-CAfile',
        papers.ca,
      ]
      for (const [again, how] of [
        ['New', '-sess_out'],
        ['Reused', '-sess_in'],
      ] as const) {
        const client = new Program(arena, 'openssl', [...words, '-alpn', 'nothing,interop', how, session], 'open')
        await client.prints(/Verify return code: 0 \(ok\)/)
        await client.prints(new RegExp(`${again}, ${version}`))
        await client.prints(/ALPN protocol: interop/)
        await client.prints(/Compression: NONE/)
        if (version === 'TLSv1.2' && again === 'Reused') {
          await client.prints(/Secure Renegotiation IS supported/)
          client.process.stdin?.write('R\n')
          await eventually('it is refused', () => /no renegotiation|alert|error/i.test(client.err))
        }
        // The tickets of 1.3 come behind the handshake.
        await eventually('the session is written', () => existsSync(session) && statSync(session).size > 0)
        client.process.stdin?.end('Q\n')
        await client.ended
      }
    },
  )

  interop(`curl, ${version}: a bulky upload and answer, and resumption`, curl, async (arena) => {
    const uploads: string[] = []
    const web = createHttpServer((request, response) => {
      const meter = new Meter(request)
      request.on('end', () => {
        uploads.push(meter.digest)
        response.setHeader('connection', 'close')
        response.end(bulk(2))
      })
    })
    const front = await Front.open(arena, await listening(arena, web))
    const max = version.replace('TLSv', '')
    const words = [
      '-sS4',
      '--cacert',
      papers.ca,
      `--tlsv${max}`,
      '--tls-max',
      max,
      '--http1.1',
      '--data-binary',
      `@${sent}`,
    ]
    const url = `https://localhost:${front.port}/upload`
    // The second of a run has the first one's session.
    const client = new Program(arena, 'curl', [...words, url, '--next', ...words.slice(1), '-sS4', url])
    await client.done()
    assert.equal(digest(client.out), digest(Buffer.concat([bulk(2), bulk(2)])))
    assert.deepEqual(uploads, [sums.sent, sums.sent])
    await front.ended(2)
    arena.note(`resumed so far: ${arena.plane.stats().total.handshakes.resumed}`)
  })

  interop(`Node, ${version}: bulk both ways, half-close first, resumption`, false, async (arena) => {
    const { front, meters } = await bulkFront(arena, 'behind the end')
    let session: Buffer | undefined
    for (const again of [false, true]) {
      const given: ConnectionOptions & { readonly allowHalfOpen: boolean } = {
        port: front.port,
        host: '127.0.0.1',
        servername: 'localhost',
        ca: authority.ca,
        ALPNProtocols: ['interop'],
        minVersion: version,
        maxVersion: version,
        ...(session !== undefined && { session }),
        allowHalfOpen: true,
      }
      const client = connect(given)
      arena.after(() => {
        client.destroy()
      })
      client.on('session', (ticket: Buffer) => {
        session = ticket
      })
      await within(once(client, 'secureConnect'), 'the handshake')
      assert.equal(client.isSessionReused(), again)
      assert.deepEqual([client.alpnProtocol, client.getProtocol()], ['interop', version])
      const heard = new Meter(client)
      client.end(bulk(1))
      await eventually(
        () => `the answer is there; ${heard.bytes}`,
        () => heard.ended,
        60_000,
      )
      assert.equal(heard.digest, sums.answered)
    }
    assert.deepEqual(
      meters.map((meter) => meter.digest),
      [sums.sent, sums.sent],
    )
    assert.deepEqual(
      (await front.ended(2)).map(({ reason }) => reason),
      ['eof', 'eof'],
    )
  })

  interop(`Go, ${version}: bulk both ways, half-close first, resumption`, go, async (arena) => {
    const { front, meters } = await bulkFront(arena, 'behind the end')
    const words = ['client', `127.0.0.1:${front.port}`, papers.ca, '-', version, String(bulkBytes)]
    const client = new Program(arena, await goPeer(), words)
    await client.done()
    const seen = reportOf(client)
    assert.deepEqual([seen.sha256, seen.bytes, seen.resumed], [sums.answered, bulkBytes, true])
    assert.deepEqual([seen.protocol, seen.version.replace(' ', 'v')], ['interop', version])
    assert.deepEqual(
      meters.map((meter) => meter.digest),
      [sums.sent, sums.sent],
    )
    assert.deepEqual(
      (await front.ended(2)).map(({ reason }) => reason),
      ['eof', 'eof'],
    )
  })

  interop(`Python, ${version}: bulk both ways, resumption`, python, async (arena) => {
    const { front, meters } = await bulkFront(arena, 'behind the bytes')
    const words = [source('peer.py'), 'client', `127.0.0.1:${front.port}`, papers.ca, '-', version, String(bulkBytes)]
    const client = new Program(arena, 'python3', words)
    await client.done()
    const seen = reportOf(client)
    assert.deepEqual([seen.sha256, seen.bytes, seen.resumed], [sums.answered, bulkBytes, true])
    assert.deepEqual([seen.protocol, seen.version], ['interop', version])
    assert.deepEqual(
      meters.map((meter) => meter.digest),
      [sums.sent, sums.sent],
    )
    await front.ended(2)
  })
}
