/** Byte vectors: what is on the wire, written by hand, so that encoder and decoder can't err together. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeFrame, encodeMessage } from '../../src/wire/codec.ts'
import type { Message } from '../../src/wire/messages.ts'
import { messageTypes } from '../../src/wire/schema.ts'

const id = 'af129b89b18621f56d6ccb99e71f3b40'

/** Each message with its length in front, in hex, and its body. */
const vectors: readonly (readonly [message: Message, header: string, body: string])[] = [
  [
    { type: 'Auth', Version: '2', MmVersion: '1.7', User: 't', Password: '', OS: 'linux', Arch: 'amd64', ClientId: '' },
    '7e00000000000000',
    '{"Type":"Auth","Payload":{"Version":"2","MmVersion":"1.7","User":"t","Password":"","OS":"linux","Arch":"amd64","ClientId":""}}',
  ],
  [
    {
      type: 'Auth',
      Version: '2',
      MmVersion: '1.7',
      User: 't',
      Password: '',
      OS: 'linux',
      Arch: 'amd64',
      ClientId: id,
      Extensions: ['ticket', 'ping2'],
    },
    'be00000000000000',
    `{"Type":"Auth","Payload":{"Version":"2","MmVersion":"1.7","User":"t","Password":"","OS":"linux","Arch":"amd64","ClientId":"${id}","Extensions":["ticket","ping2"]}}`,
  ],
  [
    { type: 'AuthResp', Version: '2', MmVersion: '1.7', ClientId: id, Error: '' },
    '7800000000000000',
    `{"Type":"AuthResp","Payload":{"Version":"2","MmVersion":"1.7","ClientId":"${id}","Error":""}}`,
  ],
  [
    { type: 'AuthResp', Version: '2', MmVersion: '1.7', ClientId: id, Error: '', Extensions: [] },
    '8800000000000000',
    `{"Type":"AuthResp","Payload":{"Version":"2","MmVersion":"1.7","ClientId":"${id}","Error":"","Extensions":[]}}`,
  ],
  [
    {
      type: 'ReqTunnel',
      ReqId: '7ef65f67f6c4eab1',
      Protocol: 'tcp',
      Hostname: '',
      Subdomain: 'raw',
      HttpAuth: '',
      RemotePort: 17777,
    },
    '8d00000000000000',
    '{"Type":"ReqTunnel","Payload":{"ReqId":"7ef65f67f6c4eab1","Protocol":"tcp","Hostname":"","Subdomain":"raw","HttpAuth":"","RemotePort":17777}}',
  ],
  [
    {
      type: 'ReqTunnel',
      ReqId: '7ef65f67f6c4eab1',
      Protocol: 'tcp',
      Hostname: '',
      Subdomain: '',
      HttpAuth: '',
      RemotePort: 0,
      Encrypt: false,
    },
    '9600000000000000',
    '{"Type":"ReqTunnel","Payload":{"ReqId":"7ef65f67f6c4eab1","Protocol":"tcp","Hostname":"","Subdomain":"","HttpAuth":"","RemotePort":0,"Encrypt":false}}',
  ],
  [
    {
      type: 'NewTunnel',
      ReqId: '7ef65f67f6c4eab1',
      Url: 'tcp://localhost:17777',
      Protocol: 'tcp',
      Error: '',
    },
    '7500000000000000',
    '{"Type":"NewTunnel","Payload":{"ReqId":"7ef65f67f6c4eab1","Url":"tcp://localhost:17777","Protocol":"tcp","Error":""}}',
  ],
  [{ type: 'ReqProxy' }, '2000000000000000', '{"Type":"ReqProxy","Payload":{}}'],
  [{ type: 'ReqProxy', Tickets: [id] }, '4e00000000000000', `{"Type":"ReqProxy","Payload":{"Tickets":["${id}"]}}`],
  [{ type: 'RegProxy', ClientId: id }, '4d00000000000000', `{"Type":"RegProxy","Payload":{"ClientId":"${id}"}}`],
  [
    { type: 'RegProxy', ClientId: id, Ticket: id },
    '7900000000000000',
    `{"Type":"RegProxy","Payload":{"ClientId":"${id}","Ticket":"${id}"}}`,
  ],
  [
    { type: 'StartProxy', Url: 'tcp://localhost:17777', ClientAddr: '127.0.0.1:45862' },
    '5e00000000000000',
    '{"Type":"StartProxy","Payload":{"Url":"tcp://localhost:17777","ClientAddr":"127.0.0.1:45862"}}',
  ],
  [
    {
      type: 'StartProxy',
      Url: 'tcp://localhost:17777',
      ClientAddr: '[::1]:45862',
      ServerAddr: '[::1]:17777',
      Proto: 'tcp',
      Id: 'j1',
    },
    '8d00000000000000',
    '{"Type":"StartProxy","Payload":{"Url":"tcp://localhost:17777","ClientAddr":"[::1]:45862","ServerAddr":"[::1]:17777","Proto":"tcp","Id":"j1"}}',
  ],
  [{ type: 'Ping' }, '1c00000000000000', '{"Type":"Ping","Payload":{}}'],
  [{ type: 'Ping', Time: 12.5 }, '2700000000000000', '{"Type":"Ping","Payload":{"Time":12.5}}'],
  [{ type: 'Pong' }, '1c00000000000000', '{"Type":"Pong","Payload":{}}'],
  [{ type: 'Pong', Time: 0 }, '2400000000000000', '{"Type":"Pong","Payload":{"Time":0}}'],
  [
    { type: 'CloseTunnel', Url: 'http://é.example' },
    '3c00000000000000',
    '{"Type":"CloseTunnel","Payload":{"Url":"http://é.example"}}',
  ],
  [
    { type: 'TunnelClosed', Url: 'tcp://h:1', Reason: 'over' },
    '4500000000000000',
    '{"Type":"TunnelClosed","Payload":{"Url":"tcp://h:1","Reason":"over"}}',
  ],
  [{ type: 'Drain', Reason: '' }, '2800000000000000', '{"Type":"Drain","Payload":{"Reason":""}}'],
]

describe('golden vectors', () => {
  for (const [message, header, body] of vectors) {
    const bytes = Buffer.concat([Buffer.from(header, 'hex'), Buffer.from(body)])
    it(`${message.type}, ${bytes.length} bytes`, () => {
      assert.equal(Number.parseInt(header.slice(0, 2), 16), Buffer.byteLength(body), 'the vector itself is sound')
      assert.equal(encodeMessage(message).toString(), bytes.toString())
      assert.deepEqual(decodeFrame(bytes), message)
    })
  }

  it('covers every message', () => {
    assert.deepEqual(new Set(vectors.map(([message]) => message.type)), new Set(messageTypes))
  })
})
