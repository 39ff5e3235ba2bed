import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Forwarding, forwardedHead } from '../../src/http/forward.ts'
import { defaultHttpLimits } from '../../src/http/limits.ts'
import { parseRequest } from '../../src/http/request.ts'

const forwarding: Forwarding = { client: '192.0.2.7', scheme: 'https', port: 443, dropAuthorization: false }

const forward = (lines: readonly string[], changes: Partial<Forwarding> = {}): readonly string[] => {
  const request = parseRequest(Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'), defaultHttpLimits)
  const head = forwardedHead(request, { ...forwarding, ...changes }).toString('latin1')
  assert.ok(head.endsWith('\r\n\r\n'))
  return head.slice(0, -4).split('\r\n')
}

const ours = [
  'X-Forwarded-For: 192.0.2.7',
  'X-Forwarded-Host: A.example:8443',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Port: 443',
]

test('a plain request', () => {
  assert.deepEqual(forward(['GET /a HTTP/1.1', 'accept:  */*', 'Host: A.example:8443', 'X-Raw: \xff']), [
    'GET /a HTTP/1.1',
    'Host: A.example:8443',
    'accept: */*',
    'X-Raw: \xff',
    ...ours,
    'Connection: close',
  ])
})

test('framing is written once and in one spelling; Expect passes', () => {
  const lines = ['POST / HTTP/1.1', 'Host: A.example:8443', 'Content-Length: 007', 'content-length: 007']
  assert.deepEqual(forward([...lines, 'Expect: 100-continue']).slice(2), [
    'Expect: 100-continue',
    'Content-Length: 7',
    ...ours,
    'Connection: close',
  ])
  assert.deepEqual(forward(['POST / HTTP/1.1', 'Host: A.example:8443', 'transfer-encoding: CHUNKED']).slice(2), [
    'Transfer-Encoding: chunked',
    ...ours,
    'Connection: close',
  ])
})

test('what was meant for one connection stays here, whatever Connection names', () => {
  const kept = forward([
    'GET / HTTP/1.1',
    'Host: A.example:8443',
    'Connection: keep-alive, X-Hop, host, Content-Length, X-Forwarded-For',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy-Authorization: Basic eDp5',
    'TE: trailers',
    'X-Hop: 1',
    'Content-Length: 0',
  ])
  assert.deepEqual(kept.slice(1), ['Host: A.example:8443', 'Content-Length: 0', ...ours, 'Connection: close'])
})

test('a visitor cannot say who it is', () => {
  const kept = forward([
    'GET / HTTP/1.1',
    'Host: A.example:8443',
    'X-Forwarded-For: 127.0.0.1',
    'x-forwarded-proto: http',
    'X-Forwarded-Prefix: /admin',
    'X_Forwarded_For: 127.0.0.1',
    'Forwarded: for=127.0.0.1',
    'X-Real-IP: 127.0.0.1',
    'Content_Length: 5',
    'Transfer_Encoding: chunked',
    'X_Own: kept',
  ])
  assert.deepEqual(kept.slice(1), ['Host: A.example:8443', 'X_Own: kept', ...ours, 'Connection: close'])
})

test('only a WebSocket may upgrade', () => {
  const head = ['GET / HTTP/1.1', 'Host: A.example:8443']
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  assert.deepEqual(forward([...head, 'Connection: Upgrade', 'Upgrade: websocket', key]).slice(2), [
    key,
    ...ours,
    'Connection: Upgrade',
    'Upgrade: websocket',
  ])
  const h2c = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA']
  assert.deepEqual(forward([...head, ...h2c]).slice(2), [...ours, 'Connection: close'])
})

test("the tunnel's credentials stay here, the service's pass", () => {
  const lines = ['GET / HTTP/1.1', 'Host: A.example:8443', 'authorization: Basic eDp5']
  assert.ok(forward(lines).includes('authorization: Basic eDp5'))
  assert.ok(!forward(lines, { dropAuthorization: true }).some((line) => /auth/i.test(line)))
})

test('an absolute-form target becomes a path, and its host the Host', () => {
  const lines = forward(['GET http://b.example/x HTTP/1.1', 'Host: A.example:8443'])
  assert.deepEqual(lines.slice(0, 2), ['GET /x HTTP/1.1', 'Host: b.example'])
  assert.ok(lines.includes('X-Forwarded-Host: b.example'))
})

test('HTTP/1.0 stays HTTP/1.0', () => {
  assert.deepEqual(forward(['GET / HTTP/1.0', 'Connection: keep-alive'], { client: '', port: 0, scheme: 'http' }), [
    'GET / HTTP/1.0',
    'X-Forwarded-Proto: http',
    'Connection: close',
  ])
})

test('addresses are told as services compare them', () => {
  const client = (address: string) =>
    forward(['GET / HTTP/1.0'], { client: address }).find((line) => line.startsWith('X-Forwarded-For'))
  assert.equal(client('::ffff:192.0.2.7'), 'X-Forwarded-For: 192.0.2.7')
  assert.equal(client('fe80::1%eth0'), 'X-Forwarded-For: fe80::1')
  assert.equal(client('2001:db8::1'), 'X-Forwarded-For: 2001:db8::1')
})
