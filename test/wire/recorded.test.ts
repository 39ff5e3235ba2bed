/** The recorded conversation of the real 1.7 client and server, decoded whole and encoded again. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeFrame, encodeMessage, findFrameEnd } from '../../src/wire/codec.ts'
import { announcedRelease, maxFrameBeforeAuth, protocolVersion } from '../../src/wire/limits.ts'
import type { Message } from '../../src/wire/messages.ts'
import { bytesFrom, loadRecording, type RecordedConnection, type Side } from '../fixtures/recorded.ts'

const recording = loadRecording()
const sides: readonly Side[] = ['agent', 'relay']

describe('the recorded conversation of ngrok 1.7', () => {
  it('has five control and eight proxy connections', () => {
    const control = recording.filter((connection) => connection.kind === 'control').map((connection) => connection.id)
    assert.deepEqual(control, [1, 6, 8, 10, 11])
    assert.equal(recording.length, 13)
  })

  for (const connection of recording) {
    it(`connection ${connection.id} (${connection.kind}) is decoded, and encoded to the same bytes`, () => {
      for (const side of sides) {
        const sent = bytesFrom(connection.events, side)
        const { messages, rest } = split(connection, side)
        assert.equal(Buffer.concat([...messages.map(encodeMessage), rest]).toString('hex'), sent.toString('hex'))
      }
    })
  }

  it('says what was recorded', () => {
    const summary = recording.map((connection) => sides.map((side) => types(connection, side)).join(' | '))
    const register = 'RegProxy |'
    assert.deepEqual(summary, [
      'Auth ReqTunnel ReqTunnel Ping | AuthResp ReqProxy NewTunnel NewTunnel NewTunnel ReqProxy ReqProxy ReqProxy Pong',
      `${register} StartProxy`,
      `${register} StartProxy`,
      `${register} `,
      `${register} `,
      'Auth ReqTunnel | AuthResp ReqProxy NewTunnel',
      `${register} `,
      'Auth ReqTunnel Ping | AuthResp ReqProxy NewTunnel Pong',
      `${register} `,
      'Auth ReqTunnel ReqTunnel | AuthResp ReqProxy NewTunnel NewTunnel NewTunnel',
      'Auth ReqTunnel | AuthResp ReqProxy NewTunnel',
      `${register} `,
      `${register} `,
    ])
  })

  it('opens with the versions that we announce', () => {
    for (const connection of recording.filter(({ kind }) => kind === 'control')) {
      const [auth] = split(connection, 'agent').messages
      assert.ok(auth?.type === 'Auth')
      assert.deepEqual([auth.Version, auth.MmVersion], [protocolVersion, announcedRelease])
    }
  })
})

/** The messages of one side, and the raw bytes behind them: a proxy connection carries one message each way. */
function split(connection: RecordedConnection, side: Side): { readonly messages: Message[]; readonly rest: Buffer } {
  const findEnd = findFrameEnd(maxFrameBeforeAuth)
  const messages: Message[] = []
  let rest = bytesFrom(connection.events, side)
  while (rest.length > 0 && (connection.kind === 'control' || messages.length === 0)) {
    const end = findEnd(rest)
    assert.ok(end > 0, 'the recording ends in the middle of a frame')
    const message = decodeFrame(rest.subarray(0, end))
    assert.ok(message.type !== 'unknown')
    messages.push(message)
    rest = rest.subarray(end)
  }
  return { messages, rest }
}

function types(connection: RecordedConnection, side: Side): string {
  return split(connection, side)
    .messages.map((message) => message.type)
    .join(' ')
}
