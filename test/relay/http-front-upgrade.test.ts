import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeBed } from './http-front-bed.ts'

const handshake = [
  'GET /ws HTTP/1.1',
  'Host: a.example',
  'Connection: keep-alive, Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '',
  '',
].join('\r\n')
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

test('a WebSocket passes both ways, but only after the 101', async (t) => {
  const bed = await makeBed(t)
  const visitor = bed.visit(`${handshake}early`)
  const service = await bed.service()
  await service.has('\r\n\r\n')
  assert.ok(service.received.includes('\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'))
  // The early bytes have been there for as long as the head: had they been let through, they would be here.
  service.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok(service.received.endsWith('\r\n\r\n'))
  service.send(`${switching}hello`)
  await visitor.has(`${switching}hello`)
  await service.has('\r\n\r\nearly')
  visitor.send('more')
  await service.has('earlymore')
  service.socket.end('bye')
  await visitor.ends('fin')
  visitor.socket.end('bye')
  await service.ends('fin')
  const result = await bed.joinEnd
  assert.equal(result.reason, 'eof')
  assert.equal(result.aToB, BigInt(service.received.length), 'the head counts')
  assert.equal(result.bToA, BigInt(visitor.received.length))
  await bed.quiet()
  assert.equal(bed.unused(), 0)
})

test('after any other answer nothing the visitor sends goes on', async (t) => {
  const bed = await makeBed(t)
  const visitor = bed.visit(`${handshake}GET /smuggled HTTP/1.1\r\n\r\n`)
  const service = await bed.service()
  await service.has('\r\n\r\n')
  const refusal = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'
  service.send(refusal)
  await visitor.has(refusal)
  visitor.send('GET /smuggled HTTP/1.1\r\n\r\n')
  service.socket.end()
  await visitor.ends('fin')
  visitor.socket.end()
  await bed.quiet()
  assert.ok(service.received.endsWith('\r\n\r\n'))
  assert.ok(!service.received.includes('smuggled'))
})

test('other upgrades are stripped', async (t) => {
  const bed = await makeBed(t)
  const settings = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'
  bed.visit(`GET / HTTP/1.1\r\nHost: a.example\r\n${settings}\r\nPRI * HTTP/2.0\r\n\r\n`)
  const service = await bed.service()
  await service.has('\r\nConnection: close\r\n\r\n')
  assert.doesNotMatch(service.received, /upgrade|http2/i)
})

test('a 101 that nobody asked for opens nothing', async (t) => {
  const bed = await makeBed(t)
  const visitor = bed.visit('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
  const service = await bed.service()
  await service.has('\r\n\r\n')
  service.send(switching)
  await visitor.has(switching)
  visitor.send('frames')
  service.socket.end()
  await visitor.ends('fin')
  visitor.socket.end()
  await bed.quiet()
  assert.ok(service.received.endsWith('\r\n\r\n'))
})

test('a service that gives no valid answer to a handshake: 502, or 504 when it is silent', async (t) => {
  for (const [words, status] of [
    ['what?\r\n\r\n', 502],
    ['HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\n\n', 502],
    ['', 504],
  ] as const) {
    const bed = await makeBed(t, { limits: { upgradeMs: words === '' ? 300 : 60_000 } })
    const visitor = bed.visit(handshake)
    const service = await bed.service()
    await service.has('\r\n\r\n')
    if (words !== '') service.send(words)
    await visitor.ends('fin')
    assert.match(visitor.received, new RegExp(`^HTTP/1\\.1 ${status} `))
    await service.ends('reset')
    await bed.quiet()
    assert.equal(bed.unused(), 1)
  }
})

test('a service that closes instead of answering: 502', async (t) => {
  const bed = await makeBed(t)
  const visitor = bed.visit(handshake)
  const service = await bed.service()
  await service.has('\r\n\r\n')
  service.socket.end('HTTP/1.1 101')
  await visitor.ends('fin')
  assert.match(visitor.received, /^HTTP\/1\.1 502 /)
  await bed.quiet()
})

test('a visitor that resets during the handshake takes the proxy connection with it', async (t) => {
  const bed = await makeBed(t)
  const visitor = bed.visit(handshake)
  const service = await bed.service()
  await service.has('\r\n\r\n')
  visitor.socket.resetAndDestroy()
  await service.ends('reset')
  await bed.quiet()
  assert.equal(bed.unused(), 1)
})
