import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultHttpLimits } from '../../src/http/limits.ts'
import { parseRequest } from '../../src/http/request.ts'
import { readInPieces } from './read-in-pieces.ts'

const limits = defaultHttpLimits

const parse = (...lines: readonly string[]) =>
  parseRequest(Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'), limits)

test('a plain request', () => {
  const request = parse('GET /a?b=c HTTP/1.1', 'Host: Demo.Example.com:8080', 'Accept:\t */* ', 'X-Empty:')
  assert.equal(request.method, 'GET')
  assert.equal(request.target, '/a?b=c')
  assert.equal(request.version, '1.1')
  assert.deepEqual(request.authority, { text: 'Demo.Example.com:8080', host: 'demo.example.com', port: 8080 })
  assert.deepEqual(request.fields.slice(1), [
    { name: 'Accept', key: 'accept', value: '*/*' },
    { name: 'X-Empty', key: 'x-empty', value: '' },
  ])
  assert.deepEqual(request.body, { kind: 'length', bytes: 0 })
  assert.equal(request.webSocket, false)
})

test('HTTP/1.0 may go without Host', () => {
  assert.equal(parse('GET / HTTP/1.0').authority, undefined)
})

test('an absolute-form target overrides Host (RFC 9112 §3.2.2)', () => {
  const request = parse('GET http://a.example:81/x?y HTTP/1.1', 'Host: b.example')
  assert.equal(request.target, '/x?y')
  assert.deepEqual(request.authority, { text: 'a.example:81', host: 'a.example', port: 81 })
  assert.equal(parse('GET HTTPS://a.example?y HTTP/1.1', 'Host: a.example').target, '/?y')
  assert.equal(parse('GET http://a.example HTTP/1.1', 'Host: a.example').target, '/')
  assert.equal(parse('OPTIONS http://a.example HTTP/1.1', 'Host: a.example').target, '*')
})

test('OPTIONS * is for the whole server', () => {
  assert.equal(parse('OPTIONS * HTTP/1.1', 'Host: a.example').target, '*')
})

test('hosts', () => {
  const host = (value: string) => parse('GET / HTTP/1.1', `Host: ${value}`).authority
  assert.equal(host('a.example.')?.host, 'a.example')
  assert.equal(host('a_b.example:')?.port, undefined)
  assert.equal(host('[::1]:80')?.host, '[::1]')
  assert.equal(host('127.0.0.1:80')?.host, '127.0.0.1')
})

test('one empty line before the request is skipped (RFC 9112 §2.2)', () => {
  const { request } = readInPieces('\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n', [1])
  assert.equal(request?.target, '/')
})

test('bodies', () => {
  const body = (...fields: readonly string[]) => parse('POST / HTTP/1.1', 'Host: a.example', ...fields).body
  assert.deepEqual(body('Content-Length: 12'), { kind: 'length', bytes: 12 })
  assert.deepEqual(body('Content-Length: 12', 'content-length: 12'), { kind: 'length', bytes: 12 })
  assert.deepEqual(body('Content-Length: 4503599627370496'), { kind: 'length', bytes: 2 ** 52 })
  assert.deepEqual(body('Transfer-Encoding: chunked'), { kind: 'chunked' })
  assert.deepEqual(body('Transfer-Encoding: Chunked ,'), { kind: 'chunked' })
})

test('only a whole WebSocket handshake counts as one', () => {
  const webSocket = (method: string, version: string, ...fields: readonly string[]) =>
    parse(`${method} /ws ${version}`, 'Host: a.example', ...fields).webSocket
  const handshake = ['Connection: keep-alive, Upgrade', 'Upgrade: WebSocket']
  assert.equal(webSocket('GET', 'HTTP/1.1', ...handshake), true)
  assert.equal(webSocket('POST', 'HTTP/1.1', ...handshake), false)
  assert.equal(webSocket('GET', 'HTTP/1.0', ...handshake), false)
  assert.equal(webSocket('GET', 'HTTP/1.1', ...handshake, 'Content-Length: 1'), false)
  assert.equal(webSocket('GET', 'HTTP/1.1', ...handshake, 'Content-Length: 0'), true)
  assert.equal(webSocket('GET', 'HTTP/1.1', ...handshake, 'Transfer-Encoding: chunked'), false)
  assert.equal(webSocket('GET', 'HTTP/1.1', 'Upgrade: websocket'), false)
  assert.equal(webSocket('GET', 'HTTP/1.1', 'Connection: upgrade', 'Upgrade: h2c'), false)
  assert.equal(webSocket('GET', 'HTTP/1.1', 'Connection: upgrade', 'Upgrade: websocket, h2c'), false)
})
