import assert from 'node:assert/strict'
import http from 'node:http'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultHttpLimits } from '../../src/http/limits.ts'
import { readInPieces } from './read-in-pieces.ts'

const limits = { ...defaultHttpLimits, headBytes: 256, targetBytes: 40, fields: 6 }

/** Pieces of requests, right and wrong, that random order turns into almost-requests. */
const fragment = fc.constantFrom(
  'GET',
  'POST',
  'CONNECT',
  ' ',
  '/',
  '/a?b',
  'http://a.example/',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  '\r\n',
  '\r\n\r\n',
  '\r',
  '\n',
  '\0',
  '\t',
  ':',
  'Host: a.example\r\n',
  'GET / HTTP/1.1\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'X: \xff\r\n',
)
const anyBytes = fc.oneof(
  { weight: 5, arbitrary: fc.array(fragment, { maxLength: 14 }).map((parts) => parts.join('')) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 300 }) },
)
const pieceSizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })

test('the verdict does not depend on fragmentation', () => {
  fc.assert(
    fc.property(anyBytes, pieceSizes, (text, sizes) => {
      const whole = readInPieces(text, [Math.max(1, text.length)], limits)
      assert.deepEqual(readInPieces(text, sizes, limits), whole)
      assert.deepEqual(readInPieces(text, [1], limits), whole)
    }),
    { numRuns: 2000, interruptAfterTimeLimit: 10_000 },
  )
})

test('what follows the head is not looked at', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), pieceSizes, (rest, sizes) => {
      const head = 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'
      assert.equal(readInPieces(head + rest, sizes).length, head.length)
    }),
    { numRuns: 500, interruptAfterTimeLimit: 10_000 },
  )
})

const tokenCharacters = Array.from("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
const token = fc.string({ unit: fc.constantFrom(...tokenCharacters), minLength: 1, maxLength: 20 })
const valueUnit = fc.integer({ min: 0x21, max: 0xff }).filter((code) => code !== 0x7f)
const value = fc.array(valueUnit, { maxLength: 30 }).map((codes) => String.fromCharCode(...codes))
const special = /^(?:host|content-length|transfer-encoding|connection|upgrade|proxy-connection|expect)$/i
const field = fc.tuple(
  token.filter((name) => !special.test(name)),
  value,
)
const path = fc
  .string({ unit: fc.constantFrom(...Array.from("abcXYZ0189-._~!$&'()*+,;=:@%/?|{}^")) })
  .map((text) => `/${text}`)

/** Valid by construction. */
const validHead = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND'),
  path,
  fields: fc.array(field, { maxLength: 10 }),
  body: fc.constantFrom('', 'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n'),
  space: fc.constantFrom('', ' ', '\t', '  \t '),
})

test('valid heads are accepted, as by llhttp, and read alike', async () => {
  await fc.assert(
    fc.asyncProperty(validHead, pieceSizes, async (head, sizes) => {
      const lines = head.fields.map(([name, text]) => `${name}:${head.space}${text}${head.space}\r\n`).join('')
      const text = `${head.method} ${head.path} HTTP/1.1\r\nHost: a.example\r\n${lines}${head.body}\r\n`
      const { request } = readInPieces(text, sizes)
      assert.ok(request !== undefined)
      const seen = await parseWithNode(text)
      assert.equal(request.method, seen.method)
      assert.equal(request.target, seen.url)
      assert.deepEqual(
        request.fields.flatMap(({ name, value: text }) => [name, text]),
        seen.rawHeaders,
      )
    }),
    { numRuns: 200, interruptAfterTimeLimit: 10_000 },
  )
})

const fieldPart = fc.oneof(
  fc.constantFrom('X', 'X-A', 'Content-Length', 'Transfer-Encoding', 'Accept', '5', 'chunked', 'gzip', 'X: y\r\n'),
  fc.constantFrom(':', ': ', ' ', '\t', ',', '\r\n', '\r\n ', '\n', '\r', '\0', '\xff', 'Content-Length: 5\r\n'),
)

test('what llhttp refuses is refused here too', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fieldPart, { maxLength: 10 }), async (parts) => {
      const text = `POST / HTTP/1.1\r\nHost: a.example\r\n${parts.join('')}\r\n\r\n`
      const { request } = readInPieces(text, [text.length])
      if (request === undefined) return
      // RFC 9110 §8.6 lets a recipient take the same length twice, which is forwarded once; llhttp does not.
      const lengths = request.fields.filter((field) => field.key === 'content-length')
      if (lengths.length < 2) await parseWithNode(text)
    }),
    { numRuns: 1000, interruptAfterTimeLimit: 10_000 },
  )
})

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly rawHeaders: readonly string[]
}

/** What node:http makes of a request; rejects when it refuses it. No socket is needed for that. */
const parseWithNode = (text: string): Promise<Seen> =>
  new Promise((resolve, reject) => {
    const server = http.createServer(({ method, url, rawHeaders }) => {
      resolve({ method, url, rawHeaders })
      connection.destroy()
    })
    server.on('checkExpectation', () => undefined)
    server.on('clientError', (error) => {
      reject(error)
      connection.destroy()
    })
    const connection = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
    server.emit('connection', connection)
    connection.push(Buffer.from(text, 'latin1'))
  })
