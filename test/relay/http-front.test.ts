import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { eventually, makeBed } from './http-front-bed.ts'

const get = 'GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n'
const second = 'GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n'
const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi'

test('a request goes to the service, its answer comes back, the join ends', async (t) => {
  const bed = await makeBed(t)
  const visitor = bed.visit('GET /a HTTP/1.1\r\nHost: A.Example:80\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n')
  const service = await bed.service()
  const head = [
    'GET /a HTTP/1.1',
    'Host: A.Example:80',
    'X-Forwarded-For: 127.0.0.1',
    'X-Forwarded-Host: A.Example:80',
    'X-Forwarded-Proto: http',
    `X-Forwarded-Port: ${bed.port}`,
    'Connection: close',
    '',
    '',
  ].join('\r\n')
  await service.has('\r\n\r\n')
  assert.equal(service.received, head)
  assert.equal(service.ending, undefined, 'the end of a request is no FIN')
  service.socket.end(answer)
  await visitor.ends('fin')
  assert.equal(visitor.received, answer)
  visitor.socket.end()
  const result = await bed.joinEnd
  assert.equal(result.reason, 'eof')
  assert.equal(result.aToB, BigInt(head.length))
  assert.equal(result.bToA, BigInt(answer.length))
  await bed.quiet()
})

const bodies: ReadonlyArray<readonly [name: string, fields: string, body: string]> = [
  ['no body', '', ''],
  ['a body by length', 'Content-Length: 5\r\n', 'hello'],
  ['a chunked body', 'Transfer-Encoding: chunked\r\n', '5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n'],
]

for (const [name, fields, body] of bodies) {
  const request = `POST /a HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n${body}`

  test(`what follows a request with ${name} never reaches the service`, async (t) => {
    const bed = await makeBed(t)
    const visitor = bed.visit(request + second)
    const service = await bed.service()
    await service.until('for the body', (peer) => peer.received.endsWith(`\r\n\r\n${body}`))
    visitor.send(second)
    service.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh')
    await visitor.has('\r\n\r\nh')
    visitor.send(second)
    service.socket.end('i')
    await visitor.ends('fin')
    assert.ok(visitor.received.endsWith('hi'), 'the answer arrives whole although the visitor sent more')
    visitor.socket.end()
    await bed.quiet()
    assert.ok(service.received.endsWith(`\r\n\r\n${body}`), service.received)
    assert.ok(!service.received.includes('smuggled'))
    assert.equal(bed.services.length, 1)
  })

  test(`a visitor that closes its sending side behind ${name} gets its answer`, async (t) => {
    const bed = await makeBed(t)
    const visitor = bed.visit()
    visitor.socket.end(request, 'latin1')
    const service = await bed.service()
    await service.until('for the body', (peer) => peer.received.endsWith(`\r\n\r\n${body}`))
    service.socket.end(answer)
    await visitor.ends('fin')
    assert.equal(visitor.received, answer)
    await bed.quiet()
  })

  test(`bytes one by one: ${name}`, async (t) => {
    const bed = await makeBed(t)
    const visitor = bed.visit()
    visitor.socket.setNoDelay(true)
    for (const character of Buffer.from(request, 'latin1')) {
      visitor.socket.write(Buffer.of(character))
      await new Promise(setImmediate)
    }
    const service = await bed.service()
    await service.until('for the body', (peer) => peer.received.endsWith(`\r\n\r\n${body}`))
    service.socket.end(answer)
    await visitor.ends('fin')
    visitor.socket.end()
    await bed.quiet()
  })
}

test('large bodies pass whole, chunked and by length, while the service reads late', async (t) => {
  const data = 'x'.repeat(100_000)
  const chunked = `${`${data.length.toString(16)}\r\n${data}\r\n`.repeat(60)}0\r\n\r\n`
  const plain = data.repeat(60)
  for (const [field, body] of [
    ['Transfer-Encoding: chunked', chunked],
    [`Content-Length: ${plain.length}`, plain],
  ] as const) {
    const bed = await makeBed(t)
    const visitor = bed.visit(`POST /a HTTP/1.1\r\nHost: a.example\r\n${field}\r\n\r\n`)
    const service = await bed.service()
    await service.has('\r\n\r\n')
    service.socket.pause()
    visitor.send(body + second)
    await new Promise((resolve) => setTimeout(resolve, 50))
    const head = service.received.length
    service.socket.resume()
    await service.until('for the body', (peer) => peer.received.length >= head + body.length)
    assert.ok(service.received.slice(head) === body)
    service.socket.end(answer)
    await visitor.ends('fin')
    visitor.socket.end()
    const result = await bed.joinEnd
    assert.equal(result.aToB, BigInt(head + body.length))
    await bed.quiet()
  }
})

test('wrong chunk framing aborts the join, and what is behind the fault is not forwarded', async (t) => {
  const bed = await makeBed(t)
  const visitor = bed.visit('POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
  const service = await bed.service()
  await service.has('hello\r\n')
  visitor.send(`5 \r\nworld\r\n0\r\n\r\n${second}`)
  await Promise.all([visitor.ends('reset'), service.ends('reset')])
  assert.ok(service.received.endsWith('hello\r\n'))
  assert.equal((await bed.joinEnd).reason, 'aborted')
  await bed.quiet()
})

test('a visitor that ends inside a chunked body does not make a short body look whole', async (t) => {
  const bed = await makeBed(t)
  const visitor = bed.visit('POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
  const service = await bed.service()
  await service.has('hello\r\n')
  visitor.socket.end()
  await service.ends('reset')
  await bed.quiet()
})

test('a rate limit holds for chunked bodies too', async (t) => {
  const rate = { bytesPerSecond: 50_000, burst: 1000 }
  const bed = await makeBed(t, { joinOptions: { aToB: { rate } } })
  const started = performance.now()
  const visitor = bed.visit('POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let n = 0; n < 3; n += 1) {
    visitor.send(`2710\r\n${'x'.repeat(10_000)}\r\n`)
    await (await bed.service()).until('for a chunk', (peer) => peer.received.length > (n + 1) * 10_000)
  }
  visitor.send('0\r\n\r\n')
  await (await bed.service()).has('0\r\n\r\n')
  assert.ok(performance.now() - started > 500)
})

test('chunked bodies share the bandwidth that they are limited to', async (t) => {
  const rate = { bytesPerSecond: 50_000, burst: 1000 }
  const started = performance.now()
  const upload = async (): Promise<void> => {
    const bed = await makeBed(t, { joinOptions: { aToB: { rate } } })
    const chunk = `2710\r\n${'x'.repeat(10_000)}\r\n`
    const head = 'POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n'
    bed.visit(`${head}${chunk.repeat(3)}0\r\n\r\n`)
    await (await bed.service()).has('\r\n0\r\n\r\n')
  }
  await Promise.all([upload(), upload(), upload(), upload()])
  // 120 000 bytes take 2.4 s together; if each had its own, 0.6 s.
  const ms = performance.now() - started
  assert.ok(ms > 1_800, `it took ${ms} ms`)
})

test('refused requests are answered and reach nobody', async (t) => {
  const bed = await makeBed(t)
  const cases: ReadonlyArray<readonly [status: number, request: string]> = [
    [400, 'GET / HTTP/1.1\r\n\r\n'],
    [400, 'GET / HTTP/1.1\nHost: a.example\n\n'],
    [400, 'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'],
    [501, 'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n'],
    [505, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    [414, `GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    [431, `GET / HTTP/1.1\r\nHost: a.example\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`],
    [404, 'GET / HTTP/1.1\r\nHost: b.example\r\n\r\n'],
    [404, 'GET / HTTP/1.0\r\n\r\n'],
  ]
  for (const [status, request] of cases) {
    const visitor = bed.visit(request)
    await visitor.ends('fin')
    assert.match(visitor.received, new RegExp(`^HTTP/1\\.1 ${status} `), request.slice(0, 60))
    assert.ok(visitor.received.endsWith('</html>\n'))
    visitor.socket.end()
  }
  assert.equal(bed.opened(), 0)
  await bed.quiet()
})

test('a request that ends inside its head is refused; one that never began is not answered', async (t) => {
  const bed = await makeBed(t)
  const partial = bed.visit()
  partial.socket.end('GET / HTTP/1.1\r\nHost: a.ex')
  const silent = bed.visit()
  silent.socket.end()
  await Promise.all([partial.ends('fin'), silent.ends('fin')])
  assert.match(partial.received, /^HTTP\/1\.1 400 /)
  assert.equal(silent.received, '')
  await bed.quiet()
})

test('slow heads: 408 after the idle or the total limit, a silent close when nothing came', async (t) => {
  const idle = await makeBed(t, { limits: { headIdleMs: 1500, headTotalMs: 60_000 } })
  const partial = idle.visit('GET / HTTP/1.1\r\n')
  const silent = idle.visit()
  await Promise.all([partial.ends('fin'), silent.ends('fin')])
  assert.match(partial.received, /^HTTP\/1\.1 408 /)
  assert.equal(silent.received, '')

  const total = await makeBed(t, { limits: { headIdleMs: 10_000, headTotalMs: 1500 } })
  const dripping = total.visit('GET / HTTP/1.1\r\n')
  const timer = setInterval(() => dripping.send('X: y\r\n'), 20)
  await dripping.ends()
  clearInterval(timer)
  assert.match(dripping.received, /^HTTP\/1\.1 408 /)
})

test('a head that comes too slowly for its least pace gets a 408, however steadily it comes', async (t) => {
  const bed = await makeBed(t, { limits: { headIdleMs: 1000, headTotalMs: 600_000, headMinRate: 1000 } })
  const dripping = bed.visit('GET / HTTP/1.1\r\n')
  const timer = setInterval(() => dripping.send('X: y\r\n'), 100)
  await dripping.ends()
  clearInterval(timer)
  assert.match(dripping.received, /^HTTP\/1\.1 408 /)
})

test('a body that never comes does not hold the service for ever; a WebSocket may be silent', async (t) => {
  const bed = await makeBed(t, { limits: { idleMs: 500 } })
  const visitor = bed.visit('POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nx')
  await visitor.ends('reset')
  assert.equal((await bed.joinEnd).reason, 'idle')

  const chunked = await makeBed(t, { limits: { idleMs: 500 } })
  const uploading = chunked.visit('POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nh')
  await uploading.ends('reset')
  assert.equal((await chunked.joinEnd).reason, 'idle')

  const upgraded = await makeBed(t, { limits: { idleMs: 500 } })
  const socket = upgraded.visit(
    'GET /a HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  )
  const service = await upgraded.service()
  await service.has('\r\n\r\n')
  service.send('HTTP/1.1 101 Switching Protocols\r\n\r\n')
  await socket.has('101')
  await new Promise((resolve) => setTimeout(resolve, 1200))
  socket.send('still here')
  await service.has('still here')
})

test('an unknown host is named on a 404 page; HEAD gets no body', async (t) => {
  const bed = await makeBed(t)
  const visitor = bed.visit('GET / HTTP/1.1\r\nHost: Other.example:81\r\n\r\n')
  await visitor.ends('fin')
  assert.ok(visitor.received.includes('No tunnel serves Other.example:81.'))
  const head = bed.visit('HEAD / HTTP/1.1\r\nHost: Other.example:81\r\n\r\n')
  await head.ends('fin')
  assert.ok(head.received.startsWith('HTTP/1.1 404 '))
  assert.ok(head.received.endsWith('\r\n\r\n'))
})

test('HttpAuth: 401 without the credentials; with them the service does not see them', async (t) => {
  const bed = await makeBed(t, { httpAuth: 'user:pass' })
  const request = (authorization: string) => `GET / HTTP/1.1\r\nHost: a.example\r\n${authorization}\r\n`
  for (const wrong of ['', 'Authorization: Basic dXNlcjpwYXN\r\n', 'Authorization: Bearer dXNlcjpwYXNz\r\n']) {
    const visitor = bed.visit(request(wrong))
    await visitor.ends('fin')
    assert.match(visitor.received, /^HTTP\/1\.1 401 /)
    assert.match(visitor.received, /\r\nWWW-Authenticate: Basic realm="/)
  }
  assert.equal(bed.opened(), 0)
  bed.visit(request('Authorization: Basic dXNlcjpwYXNz\r\n'))
  const service = await bed.service()
  await service.has('\r\n\r\n')
  assert.ok(!/authorization/i.test(service.received))
})

test('with https the service is told so', async (t) => {
  const bed = await makeBed(t, { scheme: 'https' })
  bed.visit(get)
  await (await bed.service()).has('X-Forwarded-Proto: https\r\n')
})

test('a client and a server of node:http understand each other through it', async (t) => {
  const server = http.createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (text: string) => {
      body += text
    })
    request.on('end', () => response.end(`${request.method} ${request.url} ${body.length}`))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const bed = await makeBed(t, { servicePort: (server.address() as AddressInfo).port })
  const ask = async (headers: http.OutgoingHttpHeaders, body: string): Promise<string> => {
    const request = http.request({
      host: '127.0.0.1',
      port: bed.port,
      path: '/p?q',
      method: 'POST',
      headers: { Host: 'a.example', ...headers },
      agent: false,
    })
    if (headers['Expect'] !== undefined) {
      request.flushHeaders()
      await once(request, 'continue')
    }
    request.end(body)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    let text = ''
    for await (const chunk of response) text += String(chunk)
    return text
  }
  const body = 'x'.repeat(300_000)
  assert.equal(await ask({ 'Content-Length': body.length }, body), 'POST /p?q 300000')
  assert.equal(await ask({ 'Transfer-Encoding': 'chunked' }, body), 'POST /p?q 300000')
  assert.equal(await ask({ 'Content-Length': 5, Expect: '100-continue' }, 'hello'), 'POST /p?q 5')
  await eventually(() => bed.front.active === 0, 'the last join')
})
