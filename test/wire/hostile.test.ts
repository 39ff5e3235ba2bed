/** What a hostile or broken peer may send: each time one error with a stable code, at once, and nothing allocated. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type ErrorCode, MillraceError } from '../../src/errors.ts'
import { decodeFrame, encodeMessage, findFrameEnd, readMessage } from '../../src/wire/codec.ts'
import { maxDepth, maxFrame, maxFrameBeforeAuth, maxNameLength } from '../../src/wire/limits.ts'
import { anyMessage, bounded } from './arbitraries.ts'
import { code, frame, header } from './frames.ts'
import { scriptedEndpoint } from './scripted-endpoint.ts'

describe('lengths', () => {
  const cases: readonly (readonly [length: bigint, expected: ErrorCode])[] = [
    [0n, 'ERR_FRAME_LENGTH'],
    [-1n, 'ERR_FRAME_LENGTH'],
    [-(2n ** 63n), 'ERR_FRAME_LENGTH'],
    [-(2n ** 32n) + 5n, 'ERR_FRAME_LENGTH'],
    [BigInt(maxFrame) + 1n, 'ERR_FRAME_TOO_LARGE'],
    [2n ** 31n, 'ERR_FRAME_TOO_LARGE'],
    [2n ** 32n + 28n, 'ERR_FRAME_TOO_LARGE'],
    [2n ** 40n, 'ERR_FRAME_TOO_LARGE'],
    [2n ** 63n - 1n, 'ERR_FRAME_TOO_LARGE'],
  ]
  for (const [length, expected] of cases) {
    it(`${length}: ${expected} from the first 8 bytes`, async () => {
      const endpoint = scriptedEndpoint(forever(header(length)))
      await assert.rejects(readMessage(endpoint, maxFrame, 1_000), code(expected))
      assert.equal(endpoint.held(), 8)
    })
  }

  it('the limit itself is allowed, one more is not', () => {
    for (const limit of [maxFrameBeforeAuth, maxFrame]) {
      const findEnd = findFrameEnd(limit)
      assert.equal(findEnd(header(BigInt(limit))), 0)
      assert.throws(() => findEnd(header(BigInt(limit) + 1n)), code('ERR_FRAME_TOO_LARGE'))
    }
  })

  it('a body of the greatest length is read', async () => {
    const body = `{"Type":"Ping","Payload":{}}`.padEnd(maxFrame)
    const endpoint = scriptedEndpoint([frame(body)])
    assert.deepEqual(await readMessage(endpoint, maxFrame, 1_000), { type: 'Ping' })
  })

  it('an end in the middle of a frame says after how many bytes', async () => {
    const ping = encodeMessage({ type: 'Ping' })
    await assert.rejects(readMessage(scriptedEndpoint([]), maxFrame, 1_000), code('ERR_ENDPOINT_ENDED'))
    await assert.rejects(readMessage(scriptedEndpoint([ping.subarray(0, 20)]), maxFrame, 1_000), {
      code: 'ERR_ENDPOINT_ENDED',
      message: /after 20 bytes/,
    })
  })

  it('a frame that is not as long as it says is not decoded', () => {
    const ping = encodeMessage({ type: 'Ping' })
    assert.throws(() => decodeFrame(ping.subarray(0, 7)), code('ERR_FRAME_LENGTH'))
    assert.throws(() => decodeFrame(ping.subarray(0, -1)), code('ERR_FRAME_LENGTH'))
    assert.throws(() => decodeFrame(Buffer.concat([ping, ping])), code('ERR_FRAME_LENGTH'))
  })
})

describe('bodies', () => {
  const nested = (levels: number): string => `{"Type":"Later","Payload":${'['.repeat(levels)}${']'.repeat(levels)}}`
  const cases: readonly (readonly [what: string, body: string | Uint8Array, expected: ErrorCode])[] = [
    ['no JSON', 'GET / HTTP/1.1\r\n\r\n', 'ERR_FRAME_JSON'],
    ['half of it', '{"Type":"Ping","Payload":{', 'ERR_FRAME_JSON'],
    ['two of them', '{"Type":"Ping","Payload":{}}{}', 'ERR_FRAME_JSON'],
    ['a comment', '{"Type":"Ping","Payload":{}}//', 'ERR_FRAME_JSON'],
    ['a raw control character', '{"Type":"Ping\u0001","Payload":{}}', 'ERR_FRAME_JSON'],
    ['a byte order mark', '\ufeff{"Type":"Ping","Payload":{}}', 'ERR_FRAME_JSON'],
    ['NUL bytes', new Uint8Array(64), 'ERR_FRAME_JSON'],
    ['Latin-1', Buffer.from('{"Type":"Drain","Payload":{"Reason":"\xe9"}}', 'latin1'), 'ERR_FRAME_UTF8'],
    ['overlong UTF-8', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'ERR_FRAME_UTF8'],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'ERR_FRAME_UTF8'],
    ['cut UTF-8', Buffer.from([0x22, 0xf0, 0x9f, 0x98]), 'ERR_FRAME_UTF8'],
    ['an array', '[{"Type":"Ping","Payload":{}}]', 'ERR_FRAME_SHAPE'],
    ['a string', '"Ping"', 'ERR_FRAME_SHAPE'],
    ['null', 'null', 'ERR_FRAME_SHAPE'],
    ['a number as Type', '{"Type":1,"Payload":{}}', 'ERR_FRAME_SHAPE'],
    ['no Payload', '{"Type":"Ping"}', 'ERR_FRAME_SHAPE'],
    ['Payload null', '{"Type":"Ping","Payload":null}', 'ERR_FRAME_SHAPE'],
    ['Payload an array', '{"Type":"Ping","Payload":[]}', 'ERR_FRAME_SHAPE'],
    ['Payload a string', '{"Type":"Ping","Payload":"{}"}', 'ERR_FRAME_SHAPE'],
    ['one level too deep', nested(maxDepth), 'ERR_FRAME_DEPTH'],
    ['a hundred thousand levels', '['.repeat(100_000), 'ERR_FRAME_DEPTH'],
    ['a hundred thousand objects', '{"a":'.repeat(100_000), 'ERR_FRAME_DEPTH'],
  ]
  for (const [what, body, expected] of cases) {
    it(`${what}: ${expected}`, () => {
      assert.throws(() => decodeFrame(frame(body)), code(expected))
      assert.deepEqual(decodeFrame(frame('{"Type":"Ping","Payload":{}}')), { type: 'Ping' }, 'the next one is read')
    })
  }

  it('the greatest depth is allowed, and brackets in strings are none', () => {
    assert.deepEqual(decodeFrame(frame(nested(maxDepth - 1))), { type: 'unknown', name: 'Later' })
    const body = `{"Type":"Drain","Payload":{"Reason":"\\\\\\"${'[{'.repeat(50)}\\\\"}}`
    assert.deepEqual(decodeFrame(frame(body)), { type: 'Drain', Reason: `\\"${'[{'.repeat(50)}\\` })
  })
})

describe('fields', () => {
  const cases: readonly (readonly [type: string, payload: string, field: string])[] = [
    ['Auth', '{"User":1}', 'Auth.User'],
    ['Auth', '{"user":{"a":"b"}}', 'Auth.User'],
    ['Auth', '{"Extensions":"ticket"}', 'Auth.Extensions'],
    ['Auth', '{"Extensions":["ticket",1]}', 'Auth.Extensions'],
    ['Auth', '{"Extensions":[null]}', 'Auth.Extensions'],
    ['Auth', `{"Extensions":[${'"a",'.repeat(64)}"a"]}`, 'Auth.Extensions'],
    ['Auth', `{"User":"${'x'.repeat(maxNameLength + 1)}"}`, 'Auth.User'],
    ['ReqProxy', `{"Tickets":[${'"a",'.repeat(256)}"a"]}`, 'ReqProxy.Tickets'],
    ['ReqProxy', `{"Tickets":["${'x'.repeat(60_000)}"]}`, 'ReqProxy.Tickets'],
    ['ReqTunnel', '{"RemotePort":"80"}', 'ReqTunnel.RemotePort'],
    ['ReqTunnel', '{"RemotePort":-1}', 'ReqTunnel.RemotePort'],
    ['ReqTunnel', '{"RemotePort":65536}', 'ReqTunnel.RemotePort'],
    ['ReqTunnel', '{"RemotePort":80.5}', 'ReqTunnel.RemotePort'],
    ['ReqTunnel', '{"RemotePort":1e400}', 'ReqTunnel.RemotePort'],
    ['ReqTunnel', '{"Encrypt":"false"}', 'ReqTunnel.Encrypt'],
    ['ReqTunnel', '{"Encrypt":0}', 'ReqTunnel.Encrypt'],
    ['Ping', '{"Time":-1}', 'Ping.Time'],
    ['Ping', '{"Time":1e400}', 'Ping.Time'],
    ['Pong', '{"Time":"1"}', 'Pong.Time'],
    ['Drain', '{"Reason":true}', 'Drain.Reason'],
  ]
  for (const [type, payload, field] of cases) {
    it(`${field} ${payload.slice(0, 40)}`, () => {
      assert.throws(() => decodeFrame(frame(`{"Type":"${type}","Payload":${payload}}`)), {
        code: 'ERR_FRAME_FIELD',
        message: `a field of a message has the wrong type or is too long: ${field}`,
      })
    })
  }

  it('minus zero is zero', () => {
    const message = decodeFrame(frame('{"Type":"Ping","Payload":{"Time":-0}}'))
    assert.ok(message.type === 'Ping' && Object.is(message.Time, 0))
  })
})

describe('anything', () => {
  it('any bytes give a message or one of our errors', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json(), fc.string()), (body) => {
        decodesOrFails(frame(body))
      }),
      bounded,
    )
  })

  it('so does any damage to a good frame', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(anyMessage, damage, (message, changes) => {
        const body = encodeMessage(message).subarray(8)
        for (const [at, byte] of changes) body[at % body.length] = byte
        decodesOrFails(frame(body))
      }),
      bounded,
    )
  })

  it('no error tells a value', () => {
    const secret = 'hunter2-hunter2-hunter2'
    const bodies = [
      `{"Type":"Auth","Payload":{"User":"${secret}"`,
      `{"Type":"Auth","Payload":{"User":${secret}}}`,
      `{"Type":"Auth","Payload":{"User":["${secret}"]}}`,
      `{"Type":"Auth","Payload":"${secret}"}`,
      `{"Type":["${secret}"],"Payload":{}}`,
      `{"Type":"Auth","Payload":{"User":"${secret.repeat(100)}"}}`,
      `${secret}`,
      `{"Type":"Auth","Payload":{"User":"${secret}","${secret}":}}`,
    ]
    for (const body of bodies) {
      assert.throws(
        () => decodeFrame(frame(body)),
        (error) => {
          assert.ok(error instanceof MillraceError)
          assert.doesNotMatch(`${error.message} ${error.stack} ${String(error.cause)}`, /hunter2/)
          return true
        },
      )
    }
  })
})

function decodesOrFails(bytes: Buffer): void {
  try {
    decodeFrame(bytes)
  } catch (error) {
    assert.ok(error instanceof MillraceError, `${String(error)}`)
    assert.match(error.code, /^ERR_FRAME_/)
  }
}

function* forever(first: Buffer): Generator<Buffer> {
  yield first
  for (;;) yield Buffer.alloc(1)
}
