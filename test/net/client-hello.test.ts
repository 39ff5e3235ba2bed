import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { connect } from 'node:tls'
import fc from 'fast-check'
import { type ClientHelloResult, defaultClientHelloBytes, parseClientHello } from '../../src/net/client-hello.ts'

const bounded = { numRuns: 400, interruptAfterTimeLimit: 2_000, markInterruptAsFailure: false } as const

function number(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => (value >>> (8 * (bytes - 1 - i))) & 0xff)
}

function vector(lengthBytes: number, ...content: readonly number[]): number[] {
  return [...number(content.length, lengthBytes), ...content]
}

function extension(type: number, content: readonly number[]): number[] {
  return [...number(type, 2), ...vector(2, ...content)]
}

function serverName(name: string): number[] {
  return extension(0, vector(2, 0, ...vector(2, ...Buffer.from(name, 'latin1'))))
}

function alpn(...names: readonly string[]): number[] {
  return extension(16, vector(2, ...names.flatMap((name) => vector(1, ...Buffer.from(name, 'latin1')))))
}

function message(...extensions: readonly (readonly number[])[]): number[] {
  const random = Array.from<number>({ length: 32 }).fill(7)
  const fixed = [3, 3, ...random, ...vector(1), ...vector(2, 0x0a, 0x0a, 0x13, 0x01), ...vector(1, 0)]
  return [1, ...vector(3, ...fixed, ...vector(2, ...extensions.flat()))]
}

function records(bytes: readonly number[], size = 16_384): Buffer {
  const parts: number[][] = []
  for (let at = 0; at < bytes.length; at += size) parts.push([22, 3, 1, ...vector(2, ...bytes.slice(at, at + size))])
  return Buffer.from(parts.flat())
}

/** Feeds prefixes, each as long as the answer before asked for: what a reader with peek() does. */
function feed(bytes: Buffer, limit?: number): ClientHelloResult {
  let result = parseClientHello(Buffer.alloc(0), limit)
  let have = 0
  while (result.kind === 'more' && result.need <= bytes.length) {
    assert.ok(result.need > have, 'asks for what it has')
    have = result.need
    result = parseClientHello(bytes.subarray(0, have), limit)
  }
  return result
}

describe('parseClientHello', () => {
  const grease = extension(0x2a2a, [0])
  const keyShare = extension(51, Array.from<number>({ length: 1_800 }).fill(9))
  const whole = message(grease, serverName('App.Example.test'), keyShare, alpn('\x1a\x1a', 'h2', 'http/1.1'))
  const hello = { serverName: 'app.example.test', alpn: ['\x1a\x1a', 'h2', 'http/1.1'] }

  it('finds name and protocols in a post-quantum sized hello with GREASE', () => {
    const bytes = records(whole)
    assert.ok(bytes.length > 1_500)
    assert.deepEqual(parseClientHello(bytes), { kind: 'hello', hello, length: bytes.length })
  })

  it('reads one over several records, records of one byte included', () => {
    for (const size of [1, 2, 3, 4, 5, 700]) {
      const bytes = records(whole, size)
      assert.deepEqual(feed(bytes, 65_536), { kind: 'hello', hello, length: bytes.length })
    }
  })

  it('reads one that comes byte by byte, and says the same whatever follows', () => {
    const bytes = records(whole, 900)
    for (let have = 0; have < bytes.length; have++) {
      assert.equal(parseClientHello(bytes.subarray(0, have)).kind, 'more')
    }
    const followed = Buffer.concat([bytes, Buffer.from('early data')])
    assert.deepEqual(parseClientHello(followed), { kind: 'hello', hello, length: bytes.length })
  })

  it('has no name where none is sent', () => {
    const result = parseClientHello(records(message()))
    assert.deepEqual(result.kind === 'hello' && result.hello, { serverName: '', alpn: [] })
  })

  it('takes a last dot away', () => {
    const result = parseClientHello(records(message(serverName('a.test.'))))
    assert.equal(result.kind === 'hello' && result.hello.serverName, 'a.test')
  })

  it('refuses what is none, at the first wrong byte', () => {
    const bad: readonly (readonly [string, Buffer])[] = [
      ['HTTP', Buffer.from('G')],
      ['SSLv2', Buffer.from([0x80])],
      ['version', Buffer.from([22, 2])],
      ['empty record', Buffer.from([22, 3, 1, 0, 0])],
      ['oversized record', Buffer.from([22, 3, 1, 0x40, 1])],
      ['other message', Buffer.from([22, 3, 1, 0, 9, 2])],
      ['two names', records(message(serverName('a.test'), serverName('b.test')))],
      ['NUL in the name', records(message(serverName('a.test\0.b')))],
      ['no name', records(message(serverName('')))],
      ['empty protocol', records(message(alpn('')))],
      ['cut extension', records(message([0, 0, 0, 9, 1]))],
    ]
    for (const [what, bytes] of bad) assert.equal(parseClientHello(bytes).kind, 'bad', what)
  })

  it('is bounded: by the announced length, and by records that add up', () => {
    // Length 2^24 - 1: refused as soon as it is announced.
    assert.equal(parseClientHello(Buffer.from([22, 3, 1, 0, 9, 1, 0xff, 0xff, 0xff])).kind, 'too-large')
    const large = records(message(extension(21, Array.from<number>({ length: defaultClientHelloBytes }).fill(0))))
    assert.equal(feed(large).kind, 'too-large')
    assert.equal(feed(records(whole, 1)).kind, 'hello')
    assert.equal(feed(records(whole, 1), 6_000).kind, 'too-large')
    assert.equal(feed(records(whole), 1_000).kind, 'too-large')
  })

  it('agrees with Node about its own hello', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    assert.ok(address !== null && typeof address === 'object')
    const client = connect({
      port: address.port,
      host: '127.0.0.1',
      servername: 'node.test',
      ALPNProtocols: ['h2', 'x'],
    })
    client.on('error', () => undefined)
    const [socket] = (await once(server, 'connection')) as [Socket]
    let bytes = Buffer.alloc(0)
    let result: ClientHelloResult = { kind: 'more', need: 5 }
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, chunk])
      result = parseClientHello(bytes)
      if (result.kind !== 'more') break
    }
    client.destroy()
    server.close()
    assert.deepEqual(result, {
      kind: 'hello',
      hello: { serverName: 'node.test', alpn: ['h2', 'x'] },
      length: bytes.length,
    })
  })
})

describe('parseClientHello with any bytes', () => {
  const labels = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)
  const names = fc.array(labels, { minLength: 1, maxLength: 4 }).map((parts) => [...parts, 'test'].join('.'))

  /** All prefixes agree: `more` up to one point, and from there on always the same. */
  function agrees(bytes: Buffer): void {
    const last = parseClientHello(bytes)
    let decided: ClientHelloResult | undefined
    for (let have = 0; have <= bytes.length; have++) {
      const exact = Uint8Array.prototype.slice.call(bytes, 0, have)
      const result = parseClientHello(exact)
      if (result.kind === 'more') {
        assert.equal(decided, undefined, 'undecided again')
        assert.ok(result.need > have && result.need <= defaultClientHelloBytes)
      } else if (decided === undefined) decided = result
      else assert.deepEqual(result, decided)
    }
    assert.deepEqual(decided ?? parseClientHello(bytes), last)
    const fed = feed(bytes)
    // A reader that waits for `need` bytes may hear of a fault later than one that looks at each, never otherwise.
    if (fed.kind !== 'more') assert.deepEqual(fed, last)
  }

  it('finds every name and list that was put in, however it is cut into records', () => {
    const protocols = fc.array(fc.stringMatching(/^[a-z0-9/.]{1,12}$/), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(names, protocols, fc.integer({ min: 1, max: 600 }), (name, list, size) => {
        const bytes = records(message(extension(0x5a5a, []), alpn(...list), serverName(name)), size)
        const expected = { kind: 'hello', hello: { serverName: name, alpn: list }, length: bytes.length }
        assert.deepEqual(feed(bytes), expected)
        assert.deepEqual(parseClientHello(bytes), expected)
      }),
      bounded,
    )
  })

  it('never throws on garbage, and says the same whatever the split', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => agrees(Buffer.from(bytes))),
      bounded,
    )
  })

  it('never throws on a mutated hello, and says the same whatever the split', () => {
    const mutations = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 })
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 120 }), mutations, (name, size, changes) => {
        const bytes = records(message(extension(0x1a1a, [0]), serverName(name), alpn('h2', 'http/1.1')), size)
        for (const [where, value] of changes) bytes[where % bytes.length] = value
        agrees(bytes)
      }),
      bounded,
    )
  })
})
