// Our TLS as the client of the programs that people have: both versions, bulk both ways, half-close, ALPN, SNI, tickets.
import { strict as assert } from 'node:assert'
import { createServer, type TLSSocket } from 'node:tls'
import { eventually } from '../contract/harness/wait.ts'
import { bulk, bulkBytes, digest, Meter } from './support/bulk.ts'
import { authority } from './support/hostile.ts'
import { clientTls, interop, listening, Outing, sums, versions } from './support/interop.ts'
import { goPeer, missing, Program, papers, reportOf, source, without } from './support/programs.ts'

const openssl = without(missing('openssl', ['version']))
const python = without(missing('python3', ['-c', 'import ssl']))
const go = without(missing('go', ['version']), true)

for (const version of versions) {
  const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3'
  const serving = ['-cert', papers.cert, '-key', papers.key]

  interop(`openssl s_server, ${version}: bulk both ways`, openssl, async (arena) => {
    const words = ['s_server', flag, '-accept', '127.0.0.1:0', ...serving, '-naccept', '1', '-alpn', 'interop']
    const server = new Program(arena, 'openssl', words, 'open')
    const [, port = ''] = await server.prints(/ACCEPT 127\.0\.0\.1:(\d+)\n/)
    const outing = await Outing.begin(arena, Number(port), clientTls())
    await server.prints(/CIPHER is /)
    await server.prints(/ALPN protocols selected: interop/)
    // It takes some letters at the beginning of what it reads for commands; these are none.
    const text = Buffer.alloc(bulkBytes, '0123456789 xyz\n')
    server.process.stdin?.write(text)
    await eventually(
      () => `all is heard; ${outing.heard.bytes}`,
      () => outing.heard.bytes === text.length,
      60_000,
    )
    assert.equal(outing.heard.digest, digest(text))
    outing.plain.write(text)
    const there = (): boolean => server.out.indexOf(text) !== -1
    await eventually(() => `all is printed; ${server.out.length}`, there, 60_000)
    outing.plain.end()
    // It answers close_notify with its own, and prints that it is done.
    await server.prints(/DONE/)
    const { reason, aToB, bToA } = await outing.ended
    assert.deepEqual([aToB, bToA], [BigInt(bulkBytes), BigInt(bulkBytes)])
    arena.note(reason)
    assert.ok(reason === 'eof' || reason === 'truncated', reason)
  })

  interop(
    `openssl s_server, ${version}: its session is used again, its wish for new keys or another handshake heard`,
    openssl,
    async (arena) => {
      const words = ['s_server', flag, '-accept', '127.0.0.1:0', ...serving, '-naccept', '2']
      const server = new Program(arena, 'openssl', words, 'open')
      const [, port = ''] = await server.prints(/ACCEPT 127\.0\.0\.1:(\d+)\n/)
      const tls = clientTls()
      for (const again of [false, true]) {
        const outing = await Outing.begin(arena, Number(port), tls)
        outing.plain.write('hello from us\n')
        await server.prints(again ? /hello from us[\s\S]*hello from us/ : /hello from us/)
        if (again) await server.prints(/Reused session-id|---\nReused|reused/i)
        if (version === 'TLSv1.3') {
          // New keys, and ours asked for.
          server.process.stdin?.write('K\n')
          outing.plain.write('with new keys\n')
          await server.prints(again ? /with new keys[\s\S]*with new keys/ : /with new keys/)
          server.process.stdin?.write('an answer\n')
          await eventually('the answer is heard', () => outing.heard.bytes === 10)
        } else if (again) {
          // A renegotiation, whose refusal it takes for a failure: a session that failed is not used again.
          server.process.stdin?.write('r\n')
          await eventually('it hears of it', () => /no.renegotiation|alert/i.test(server.err + server.out.toString()))
        }
        outing.plain.end()
        await outing.ended
      }
    },
  )

  interop(`Node, ${version}: bulk both ways, half-close first, SNI, resumption`, false, async (arena) => {
    const meters: Meter[] = []
    const sessions: TLSSocket[] = []
    const reused: boolean[] = []
    const names: string[] = []
    const server = createServer(
      {
        ...authority.localhost,
        minVersion: version,
        maxVersion: version,
        ALPNProtocols: ['interop'],
        allowHalfOpen: true,
        SNICallback: (name, done) => {
          names.push(name)
          done(null)
        },
      },
      (session) => {
        session.on('error', () => undefined)
        sessions.push(session)
        reused.push(session.isSessionReused())
        meters.push(new Meter(session))
        session.on('end', () => session.end(bulk(2)))
      },
    )
    const port = await listening(arena, server)
    const tls = clientTls()
    for (const again of [false, true]) {
      const outing = await Outing.begin(arena, port, tls)
      outing.plain.end(bulk(1))
      await outing.answered()
      await eventually('the end comes behind it', () => outing.heard.ended)
      assert.equal((await outing.ended).reason, 'eof')
      assert.equal(reused.at(-1), again)
      assert.deepEqual([sessions.at(-1)?.alpnProtocol, names.at(-1)], ['interop', 'localhost'])
      assert.equal(meters.at(-1)?.digest, sums.sent)
    }
  })

  for (const [name, skip, start, answer] of [
    ['Go', go, async () => [await goPeer(), []] as const, 'behind the end'],
    ['Python', python, () => ['python3', [source('peer.py')]] as const, 'behind the bytes'],
  ] as const) {
    interop(`${name}, ${version}: bulk both ways, the answer ${answer}`, skip, async (arena) => {
      const [program, first] = await start()
      const words = [...first, 'server', '127.0.0.1:0', papers.cert, papers.key, version, String(bulkBytes)]
      const server = new Program(arena, program, words)
      const [, port = ''] = await server.prints(/127\.0\.0\.1:(\d+)/)
      const outing = await Outing.begin(arena, Number(port), clientTls())
      outing.plain.write(bulk(1))
      if (answer === 'behind the end') outing.plain.end()
      await outing.answered()
      outing.plain.end()
      await server.done()
      const seen = reportOf(server)
      assert.deepEqual([seen.sha256, seen.bytes, seen.protocol], [sums.sent, bulkBytes, 'interop'])
      assert.equal(seen.version.replace(' ', 'v'), version)
      if (name === 'Go') assert.equal(seen.name, 'localhost')
      assert.equal((await outing.ended).reason, 'eof')
    })
  }
}
