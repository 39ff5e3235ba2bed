// What comes in place of a handshake, in pieces of it, and inside it.
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { after } from 'node:test'
import type { TlsOptions } from '../../src/dataplane/types.ts'
import { collect } from '../contract/harness/raw.ts'
import { tlsOptions } from '../contract/harness/tls-bed.ts'
import { eventually, within } from '../contract/harness/wait.ts'
import { earlyDataHello, hello, helloMessage, sslv2Hello } from './support/hello.ts'
import { type Arena, authority, bornFor, goHome, hostile, outcomeOf, wired } from './support/hostile.ts'
import { alert, contentType, message, record, refragmented } from './support/records.ts'
import type { WireOptions } from './support/wire.ts'

after(goHome)

const roles = ['server', 'client'] as const

function options(near: 'server' | 'client', handshakeTimeoutMs = 20_000): TlsOptions {
  return { ...tlsOptions(near, authority), handshakeTimeoutMs }
}

/** Sends bytes in place of a handshake, and says what became of it. `patience`: the peer then waits so long, ms. */
async function refused(
  arena: Arena,
  near: 'server' | 'client',
  bytes: readonly Uint8Array[],
  patience = 20_000,
): Promise<string> {
  const { endpoint, socket } = await bornFor(arena, near)
  const answer = collect(socket)
  for (const part of bytes) socket.write(part)
  const { code, text } = await outcomeOf(arena.plane.secure(endpoint, options(near, patience)))
  arena.note(text === '' ? 'secured' : text)
  assert.ok(code === 'ERR_TLS' || code === 'ERR_TLS_TIMEOUT', code)
  // A sentence that is about TLS and shows nothing of the keys.
  assert.match(text, /^(TLS failed: \w.*\w|the TLS handshake did not finish)/s)
  assert.doesNotMatch(text, /KEY|undefined|object|error:0|\.c:\d/)
  await answer.ended
  return code
}

/** Each is no TLS at all, or breaks its rules in a way that can be told at once. */
const nonsense: readonly (readonly [string, readonly Uint8Array[]])[] = [
  ['HTTP', [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')]],
  ['SSH', [Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')]],
  ['text', [Buffer.from('EHLO mail.example.org\r\nSTARTTLS\r\n')]],
  ['zeros', [Buffer.alloc(2_000)]],
  ['ones', [Buffer.alloc(2_000, 0xff)]],
  ['a record of an unknown type', [record(99, randomBytes(200))]],
  ['data', [record(contentType.data, randomBytes(200))]],
  ['a fatal alert', [record(contentType.alert, alert(2, 40))]],
  ['close_notify', [record(contentType.alert, alert(1, 0))]],
  [
    'a flood of warnings',
    [Buffer.concat(Array.from({ length: 1_000 }, () => record(contentType.alert, alert(1, 90))))],
  ],
  [
    'a flood of empty records',
    [Buffer.concat(Array.from({ length: 1_000 }, () => record(contentType.handshake, Buffer.alloc(0))))],
  ],
  ['an oversized record', [record(contentType.handshake, Buffer.alloc(16_384 + 2_049, 1))]],
  ['a record that claims 65 535 bytes', [record(contentType.handshake, Buffer.alloc(500, 1), 65_535)]],
  [
    'a message of 16 MiB',
    [
      record(contentType.handshake, message(1, Buffer.alloc(16_000), 0xffffff)),
      ...Array.from({ length: 20 }, () => record(contentType.handshake, Buffer.alloc(16_000))),
    ],
  ],
  ['a Finished', [record(contentType.handshake, message(20, Buffer.alloc(12)))]],
  [
    'ChangeCipherSpec alone',
    [record(contentType.changeCipherSpec, Buffer.of(1)), record(contentType.data, randomBytes(60))],
  ],
]

for (const near of roles) {
  for (const [name, bytes] of nonsense) {
    hostile(`${name} in place of a hello, as ${near}`, async (arena) => {
      assert.equal(await refused(arena, near, bytes), 'ERR_TLS')
    })
  }
  hostile(`random bytes in place of a hello, as ${near}`, async (arena) => {
    // Some are the beginning of a record that never ends: then the time-out.
    for (let count = 0; count < 30; count++) await refused(arena, near, [randomBytes(1 + count * 40)], 300)
    await refused(arena, near, [Buffer.concat([Buffer.from([22, 3, 1]), randomBytes(20_000)])], 300)
  })
}

const badHellos: readonly (readonly [string, readonly Uint8Array[]])[] = [
  ['SSL 2.0', [sslv2Hello(), randomBytes(100)]],
  ['SSL 3.0', [hello({ version: 0x0300, versions: [], suites: [0x000a, 0x002f] })]],
  ['TLS 1.0', [hello({ version: 0x0301, versions: [], suites: [0xc009, 0xc013, 0x002f] })]],
  ['TLS 1.1', [hello({ version: 0x0302, versions: [], suites: [0xc009, 0xc013, 0x002f] })]],
  ['TLS 1.1 by the extension of 1.3', [hello({ versions: [0x0302, 0x0301] })]],
  ['a version that there is not', [hello({ versions: [0x7f7f] })]],
  ['CBC alone', [hello({ versions: [], suites: [0xc009, 0xc00a, 0xc013, 0xc014, 0xc023, 0xc027] })]],
  ['key exchange by RSA alone', [hello({ versions: [], suites: [0x009c, 0x009d, 0x002f, 0x0035] })]],
  ['DHE alone', [hello({ versions: [], suites: [0x009e, 0x009f, 0x0033] })]],
  ['no authentication', [hello({ versions: [], suites: [0xc019, 0xc018, 0x00a6] })]],
  ['no encryption', [hello({ versions: [], suites: [0xc006, 0xc010, 0x003b, 0x0002] })]],
  ['3DES and RC4', [hello({ versions: [], suites: [0xc008, 0xc012, 0xc007, 0xc011, 0x0005] })]],
  ['no suites', [hello({ suites: [] })]],
  ['an extension that comes twice', [hello({ extensions: [[43, Buffer.from([2, 3, 4])]] })]],
  ['a server name of the wrong length', [hello({ extensions: [[0, Buffer.from([0, 200, 0, 0, 1, 97])]] })]],
  ['garbage behind it, in a record of its own', [hello(), record(contentType.handshake, randomBytes(300))]],
  ['garbage behind it', [hello(), randomBytes(4_000)]],
  ['data behind it', [hello(), record(contentType.data, randomBytes(300))]],
  ['a second hello behind it', [hello(), hello()]],
  ['a fatal alert behind it', [hello(), record(contentType.alert, alert(2, 80))]],
  [
    'other content in the middle of it',
    [hello().subarray(0, 60), record(contentType.data, randomBytes(300)), randomBytes(400)],
  ],
]

for (const [name, bytes] of badHellos) {
  hostile(`a hello: ${name}`, async (arena) => {
    assert.equal(await refused(arena, 'server', bytes), 'ERR_TLS')
  })
}

/** Sends a hello that must be answered, and goes: what the answer began with. */
async function answered(arena: Arena, bytes: readonly Uint8Array[]): Promise<Buffer> {
  const { endpoint, socket } = await bornFor(arena, 'server')
  const answer = collect(socket)
  for (const part of bytes) socket.write(part)
  const outcome = outcomeOf(arena.plane.secure(endpoint, options('server')))
  await eventually('it is answered', () => answer.bytes().length > 80)
  socket.destroy()
  assert.equal((await outcome).code, 'ERR_TLS')
  assert.deepEqual([answer.bytes()[0], answer.bytes()[5]], [contentType.handshake, 2], 'by a ServerHello')
  return answer.bytes()
}

hostile('a hello that offers more than we do', async (arena) => {
  // Suites that we refuse beside one that we take: the handshake goes on, with that one.
  const bytes = await answered(arena, [hello({ versions: [], suites: [0x009c, 0xc009, 0x0005, 0xc02b] })])
  // Record 5, message 4, version 2, random 32, session id with its length.
  const suiteAt = 43 + 1 + (bytes[43] ?? 0)
  assert.equal(bytes.readUInt16BE(suiteAt), 0xc02b)
})

hostile('early data is none of ours, and is never delivered', async (arena) => {
  await answered(arena, [earlyDataHello(), record(contentType.data, randomBytes(1_000))])
  // More of it than a client may send to a server that has not asked for any.
  const flood = Array.from({ length: 200 }, () => record(contentType.data, randomBytes(1_000)))
  assert.equal(await refused(arena, 'server', [earlyDataHello(), ...flood]), 'ERR_TLS')
})

/** Handshakes that arrive strangely cut, and are good all the same. */
const strange: readonly (readonly [string, Partial<WireOptions>])[] = [
  ['in pieces of one byte', { piece: 1 }],
  ['in pieces of seven bytes', { piece: 7 }],
  ['in records of one byte', { outgoing: (one, index) => (index === 0 ? refragmented([one], 1) : [one.bytes]) }],
  ['in records of 100 bytes', { outgoing: (one, index) => (index === 0 ? refragmented([one], 100) : [one.bytes]) }],
  ['one byte, and then all', { outgoing: (one) => [one.bytes.subarray(0, 1), one.bytes.subarray(1)] }],
]

for (const near of roles) {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const [name, how] of strange) {
      hostile(`a handshake ${name}, ${version}, as ${near}`, async (arena) => {
        await shakes(arena, { near, version, ...how })
      })
    }
    hostile(`a peer that goes in mid-handshake, ${version}, as ${near}`, async (arena) => {
      for (const how of ['finish', 'reset'] as const) {
        for (const last of [0, 1]) {
          const { endpoint, wire } = await wired(arena, {
            near,
            version,
            outgoing: (one, index) => {
              if (index < last) return [one.bytes]
              setImmediate(() => void wire[how]())
              return index === last ? [one.bytes.subarray(0, 20)] : []
            },
          })
          const { code, text } = await outcomeOf(arena.plane.secure(endpoint, options(near)))
          arena.note(text)
          assert.ok(code.startsWith('ERR_TLS') || code.startsWith('ERR_ENDPOINT'), `${code} ${text}`)
          wire.destroy()
        }
      }
    })
  }
}

// As large as those with a post-quantum key share (X25519MLKEM768 has 1 216 bytes), and far larger.
for (const protocols of [70, 250, 650]) {
  hostile(`a hello of ${protocols} protocols, beyond a packet's size`, async (arena) => {
    const names = Array.from({ length: protocols }, (_, index) => `protocol-number-${index}`)
    const wire = await shakes(arena, { near: 'server', session: { ALPNProtocols: names } })
    assert.ok(wire.sent[0] !== undefined && wire.sent[0].bytes.length > Math.max(1_500, protocols * 18))
  })
}

hostile('a padded hello and one with a key share of a group that nobody knows', async (arena) => {
  for (const given of [{ padding: 1_800 }, { extensions: [[0x2a2a, Buffer.alloc(1_216)]] as const }]) {
    await answered(arena, [record(contentType.handshake, helloMessage(given))])
  }
})

/** A handshake that must succeed, and a word each way. */
async function shakes(
  arena: Arena,
  given: Omit<WireOptions, 'authority'>,
): Promise<Awaited<ReturnType<typeof wired>>['wire']> {
  const { endpoint, wire } = await wired(arena, given)
  const [secured] = await Promise.all([arena.plane.secure(endpoint, options(given.near)), wire.established()])
  arena.after(() => secured.destroy('reset'))
  wire.session.write('to the endpoint')
  assert.equal((await secured.peek(15, 20_000)).toString(), 'to the endpoint')
  const heard = new Promise<string>((resolve) =>
    wire.session.once('data', (bytes: Buffer) => resolve(bytes.toString())),
  )
  secured.write(Buffer.from('from it'))
  assert.equal(await within(heard, 'the endpoint’s word'), 'from it')
  return wire
}
