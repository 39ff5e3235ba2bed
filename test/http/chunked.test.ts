import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChunkedScanner } from '../../src/http/chunked.ts'
import { defaultHttpLimits } from '../../src/http/limits.ts'
import { refusalStatus } from '../../src/http/refusal.ts'

interface Outcome {
  readonly refused: boolean
  readonly done: boolean
  /** Bytes taken as the body; 0 when it was refused. */
  readonly length: number
}

const scan = (text: string, sizes: readonly number[]): Outcome => {
  const bytes = Buffer.from(text, 'latin1')
  const scanner = new ChunkedScanner(defaultHttpLimits)
  let length = 0
  try {
    for (let piece = 0, at = 0; at < bytes.length && !scanner.done; piece += 1) {
      const end = Math.min(bytes.length, at + Math.max(1, sizes[piece % sizes.length] ?? 1))
      length += scanner.feed(bytes.subarray(at, end))
      at = end
    }
    return { refused: false, done: scanner.done, length }
  } catch (error) {
    if (refusalStatus(error) === undefined) throw error
    return { refused: true, done: false, length: 0 }
  }
}

const bodies: ReadonlyArray<readonly [name: string, text: string]> = [
  ['nothing', '0\r\n\r\n'],
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n'],
  ['data that looks like framing', '7\r\n0\r\n\r\n5\r\r\n0\r\n\r\n'],
  ['hexadecimal sizes in both cases', `a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n`],
  ['leading zeros', '0005\r\nhello\r\n000\r\n\r\n'],
  ['an extension', `5;a=b;c="d;e"\r\nhello\r\n0;x\r\n\r\n`],
  ['the signed chunks of S3 clients', `5;chunk-signature=${'a'.repeat(64)}\r\nhello\r\n0\r\n\r\n`],
  ['trailers', '0\r\nX-Sum: 1\r\nServer-Timing:\r\n\r\n'],
]

for (const [name, text] of bodies) {
  test(`taken: ${name}`, () => {
    for (const sizes of [[text.length], [1], [3, 1]]) {
      assert.deepEqual(scan(text, sizes), { refused: false, done: true, length: text.length })
    }
    const next = 'GET /next HTTP/1.1\r\n\r\n'
    assert.deepEqual(scan(text + next, [1000]), { refused: false, done: true, length: text.length })
    for (let cut = 1; cut < text.length; cut += 1) assert.equal(scan(text.slice(0, cut), [1000]).done, false)
  })
}

const attacks: ReadonlyArray<readonly [name: string, text: string]> = [
  ['no size', '\r\nhello'],
  ['an extension without a size', ';a\r\n'],
  ['a sign', '+5\r\nhello\r\n'],
  ['a minus', '-1\r\n'],
  ['a prefix', '0x5\r\nhello\r\n'],
  ['an underscore', '1_0\r\n'],
  ['a space before the size', ' 5\r\nhello\r\n'],
  ['a space after the size', '5 \r\nhello\r\n'],
  ['a space before the extension', '5 ;a\r\nhello\r\n'],
  ['a size of 14 digits', 'fffffffffffff0\r\n'],
  ['a size that wraps at 64 bits', '10000000000000005\r\nhello\r\n'],
  ['bare LF after the size', '5\nhello\r\n'],
  ['bare CR after the size', '5\rhello\r\n'],
  ['bare LF in an extension', '5;a\nhello\r\n'],
  ['a control character in an extension', '5;\x01\r\n'],
  ['a byte above 0x7f in an extension', '5;\xe9\r\n'],
  ['data longer than its size', '5\r\nhello!\r\n'],
  ['data shorter than its size', '6\r\nhello\r\n0\r\n\r\n'],
  ['bare LF after data', '5\r\nhello\n0\r\n\r\n'],
  ['bare CR after data', '5\r\nhello\r0\r\n\r\n'],
  ['no CRLF after data', '5\r\nhello0\r\n\r\n'],
  ['a size line over the limit', `5;${'a'.repeat(defaultHttpLimits.chunkLineBytes)}\r\n`],
  ['endless zeros', '0'.repeat(defaultHttpLimits.chunkLineBytes + 1)],
  ['a trailer without a colon', '0\r\nX\r\n\r\n'],
  ['a space before the colon', '0\r\nX : y\r\n\r\n'],
  ['a folded trailer', '0\r\nX: y\r\n z\r\n\r\n'],
  ['bare LF ends the trailers', '0\r\nX: y\r\n\n'],
  ['bare LF after a trailer', '0\r\nX: y\n\r\n'],
  ['a control character in a trailer', '0\r\nX: \0\r\n\r\n'],
  ['trailers over the limit', `0\r\nX: ${'a'.repeat(defaultHttpLimits.trailerBytes)}`],
  ['many trailers over the limit', `0\r\n${'X: y\r\n'.repeat(defaultHttpLimits.trailerBytes / 6 + 1)}`],
  ['framing in a trailer', '0\r\nContent-Length: 5\r\n\r\n'],
  ['a forwarded address in a trailer', '0\r\nX_Forwarded_For: 127.0.0.1\r\n\r\n'],
  ['credentials in a trailer', '0\r\nAuthorization: Basic eDp5\r\n\r\n'],
]

for (const [name, text] of attacks) {
  test(`refused: ${name}`, () => {
    for (const sizes of [[text.length], [1], [3, 1]]) assert.equal(scan(text, sizes).refused, true)
  })
}

const piece = fc.oneof(
  fc.constantFrom('0', '1', '3', 'a', 'F', ';', ';x=y', ' ', '\r', '\n'),
  fc.constantFrom('\r\n', '0\r\n', '3\r\nabc\r\n', 'X: y\r\n'),
)
const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 })

test('the outcome does not depend on fragmentation', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 16 }), sizes, (pieces, cuts) => {
      const text = pieces.join('')
      const whole = scan(text, [text.length + 1])
      assert.deepEqual(scan(text, cuts), whole)
      assert.deepEqual(scan(text, [1]), whole)
    }),
    { numRuns: 3000, interruptAfterTimeLimit: 10_000 },
  )
})

test('every well-formed body is taken whole, and nothing behind it', () => {
  const chunk = fc.tuple(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }), fc.boolean())
  fc.assert(
    fc.property(fc.array(chunk), sizes, fc.string({ unit: 'binary-ascii' }), (chunks, cuts, behind) => {
      const coded = chunks.map(([data, extended]) => {
        return `${data.length.toString(16)}${extended ? ';a=b' : ''}\r\n${data}\r\n`
      })
      const text = `${coded.join('')}0\r\n\r\n`
      assert.deepEqual(scan(text + behind, cuts), { refused: false, done: true, length: text.length })
    }),
    { numRuns: 1000, interruptAfterTimeLimit: 10_000 },
  )
})
