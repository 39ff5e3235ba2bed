import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeFrame, encodeMessage, findFrameEnd, readMessage, writeMessage } from '../../src/wire/codec.ts'
import { maxFrame, maxFrameBeforeAuth, maxSentFrame } from '../../src/wire/limits.ts'
import { anyMessage, bounded } from './arbitraries.ts'
import { code, frame } from './frames.ts'
import { scriptedEndpoint } from './scripted-endpoint.ts'

describe('a message', () => {
  it('comes back as it was sent', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        assert.deepEqual(decodeFrame(encodeMessage(message)), message)
      }),
      bounded,
    )
  })

  it('survives any fragmentation, and what follows stays unread', async () => {
    const conversation = fc.record({
      messages: fc.array(anyMessage, { maxLength: 5 }),
      tail: fc.uint8Array({ maxLength: 50 }),
      cuts: fc.infiniteStream(fc.integer({ min: 1, max: 60 })),
    })
    await fc.assert(
      fc.asyncProperty(conversation, async ({ messages, tail, cuts }) => {
        const endpoint = scriptedEndpoint(fragments(Buffer.concat([...messages.map(encodeMessage), tail]), cuts))
        for (const message of messages)
          assert.deepEqual(await readMessage(endpoint, maxFrameBeforeAuth, 1_000), message)
        const rest: Buffer[] = []
        for (;;) {
          const bytes = await endpoint.read(1_000)
          if (bytes.length === 0) break
          rest.push(bytes)
        }
        assert.deepEqual(Buffer.concat(rest), Buffer.from(tail))
      }),
      bounded,
    )
  })

  it('is found byte by byte, never too early', () => {
    const bytes = encodeMessage({ type: 'Ping' })
    const findEnd = findFrameEnd(maxFrame)
    for (let n = 0; n < bytes.length; n++) assert.equal(findEnd(bytes.subarray(0, n)), 0)
    assert.equal(findEnd(bytes), bytes.length)
    assert.equal(findEnd(Buffer.concat([bytes, bytes])), bytes.length)
  })

  it('leaves in one write', () => {
    const endpoint = scriptedEndpoint([])
    writeMessage(endpoint, { type: 'Drain', Reason: 'restart' })
    assert.deepEqual(endpoint.written, [encodeMessage({ type: 'Drain', Reason: 'restart' })])
  })

  it('larger than one TLS record is not sent', () => {
    const spare = maxSentFrame - encodeMessage({ type: 'Drain', Reason: '' }).length
    assert.equal(encodeMessage({ type: 'Drain', Reason: 'x'.repeat(spare) }).length, maxSentFrame)
    assert.throws(() => encodeMessage({ type: 'Drain', Reason: 'x'.repeat(spare + 1) }), code('ERR_FRAME_UNSENDABLE'))
  })

  it('has only the fields of the protocol, in its order', () => {
    const shuffled = { Proto: 'tcp', ClientAddr: 'a', secret: 'x', Url: 'u', type: 'StartProxy' } as const
    const json = encodeMessage(shuffled).subarray(8).toString()
    assert.equal(json, '{"Type":"StartProxy","Payload":{"Url":"u","ClientAddr":"a","Proto":"tcp"}}')
  })
})

describe('as Go reads JSON, so do we', () => {
  const auth = { type: 'Auth', Version: '', MmVersion: '', User: '', Password: '', OS: '', Arch: '', ClientId: '' }

  it('missing and null fields are empty', () => {
    assert.deepEqual(decodeFrame(frame('{"Type":"Auth","Payload":{}}')), auth)
    assert.deepEqual(decodeFrame(frame('{"Type":"Auth","Payload":{"User":null,"Extensions":null}}')), auth)
    assert.deepEqual(decodeFrame(frame('{"Type":"ReqTunnel","Payload":{"RemotePort":null}}')), {
      type: 'ReqTunnel',
      ReqId: '',
      Protocol: '',
      Hostname: '',
      Subdomain: '',
      HttpAuth: '',
      RemotePort: 0,
    })
  })

  it('keys match without regard to case', () => {
    const body = '{"type":"Auth","PAYLOAD":{"VERSION":"2","mmversion":"1.7","uSeR":"t","clientid":"c"}}'
    assert.deepEqual(decodeFrame(frame(body)), { ...auth, Version: '2', MmVersion: '1.7', User: 't', ClientId: 'c' })
  })

  it('the last of several equal keys counts', () => {
    const body = '{"Type":"Ping","Payload":[],"Type":"Auth","payload":{"User":"a","User":"b","user":"c"}}'
    assert.deepEqual(decodeFrame(frame(body)), { ...auth, User: 'c' })
  })

  it('unknown fields are ignored, whatever they are called and hold', () => {
    const body = '{"Type":"Ping","x":1,"Payload":{"__proto__":{"Time":1},"constructor":2,"type":"Auth","Later":[{}]}}'
    const message = decodeFrame(frame(body))
    assert.deepEqual(message, { type: 'Ping' })
    assert.equal(Object.getPrototypeOf(message), Object.prototype)
  })

  it('white space and escapes are allowed', () => {
    const body = ' {"Type" :\n"Drain",\t"Payload":{"Reason":"\\u0061\\"<\\u003c\\ud83d\\ude00"} } '
    assert.deepEqual(decodeFrame(frame(body)), { type: 'Drain', Reason: 'a"<<😀' })
  })

  it('a lone surrogate becomes U+FFFD', () => {
    const body = '{"Type":"Drain","Payload":{"Reason":"\\ud800x\\udc00"}}'
    assert.deepEqual(decodeFrame(frame(body)), { type: 'Drain', Reason: '\ufffdx\ufffd' })
  })

  it('an unknown type is no error, whatever its payload', () => {
    for (const payload of ['{}', 'null', '[1]', '"x"']) {
      const message = decodeFrame(frame(`{"Type":"Reload","Payload":${payload}}`))
      assert.deepEqual(message, { type: 'unknown', name: 'Reload' })
    }
    assert.deepEqual(decodeFrame(frame('{"Type":"auth"}')), { type: 'unknown', name: 'auth' })
    assert.deepEqual(decodeFrame(frame('{}')), { type: 'unknown', name: '' })
    assert.deepEqual(decodeFrame(frame('{"Type":null}')), { type: 'unknown', name: '' })
  })

  it("an unknown type's name is fit for a log", () => {
    const name = `\n\u001b[31m\u202e${'x'.repeat(1_000)}`
    const message = decodeFrame(frame(JSON.stringify({ Type: name })))
    assert.deepEqual(message, { type: 'unknown', name: `??[31m?${'x'.repeat(25)}…` })
  })
})

function* fragments(bytes: Buffer, cuts: Iterator<number>): Generator<Buffer> {
  let at = 0
  while (at < bytes.length) {
    const next = at + Number(cuts.next().value)
    yield bytes.subarray(at, next)
    at = next
  }
}
