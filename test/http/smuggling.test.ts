import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultHttpLimits } from '../../src/http/limits.ts'
import { readInPieces } from './read-in-pieces.ts'

const host = 'Host: a.example\r\n'
const post = (fields: string): string => `POST / HTTP/1.1\r\n${host}${fields}\r\n\r\n`
const get = (line: string): string => `${line}\r\n${host}\r\n`

/** What two HTTP parsers have been known to read differently, and what else is no request. */
const vectors: ReadonlyArray<readonly [name: string, bytes: string, status: number]> = [
  // Line ends and bytes (RFC 9112 §2.2, RFC 9110 §5.5).
  ['bare LF after the request line', `GET / HTTP/1.1\n${host}\r\n`, 400],
  ['bare LF after a field', `GET / HTTP/1.1\r\nHost: a.example\n\r\n`, 400],
  ['bare LF ends the head', `GET / HTTP/1.1\r\n${host}\n`, 400],
  ['bare CR in a value', post('X-A: b\rContent-Length: 5'), 400],
  ['bare CR before CRLF', post('X-A: b\r'), 400],
  ['NUL in a value', post('X-A: b\0c'), 400],
  ['escape in a value', post('X-A: \x1b[2J'), 400],
  ['DEL in a value', post('X-A: \x7f'), 400],
  ['vertical tab before chunked', post('Transfer-Encoding: \x0bchunked'), 400],
  ['form feed as whitespace', post('Content-Length:\x0c5'), 400],
  ['two empty lines first', `\r\n\r\nGET / HTTP/1.1\r\n${host}\r\n`, 400],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01', 400],
  // Request lines (RFC 9112 §3).
  ['HTTP/0.9', get('GET /'), 400],
  ['two spaces', get('GET  / HTTP/1.1'), 400],
  ['a tab for a space', get('GET\t/ HTTP/1.1'), 400],
  ['a leading space', get(' GET / HTTP/1.1'), 400],
  ['a trailing space', get('GET / HTTP/1.1 '), 400],
  ['a space in the target', get('GET /a b HTTP/1.1'), 400],
  ['a method that is no token', get('G(T / HTTP/1.1'), 400],
  ['no method', get(' / HTTP/1.1'), 400],
  ['a very long method', get(`${'M'.repeat(33)} / HTTP/1.1`), 501],
  ['CONNECT', get('CONNECT a.example:443 HTTP/1.1'), 501],
  ['CONNECT with a path', get('CONNECT / HTTP/1.1'), 501],
  ['a relative target', get('GET a.html HTTP/1.1'), 400],
  ['an asterisk for GET', get('GET * HTTP/1.1'), 400],
  ['a fragment', get('GET /a#b HTTP/1.1'), 400],
  ['raw bytes above 0x7f', get('GET /\xc3\xa9 HTTP/1.1'), 400],
  ['another scheme', get('GET ftp://a.example/ HTTP/1.1'), 400],
  ['user info in the target', get('GET http://u:p@a.example/ HTTP/1.1'), 400],
  ['an absolute target without host', get('GET http:///x HTTP/1.1'), 400],
  ['a target over the limit', get(`GET /${'a'.repeat(defaultHttpLimits.targetBytes)} HTTP/1.1`), 414],
  ['a line that never ends', 'GET /'.padEnd(defaultHttpLimits.headBytes, 'a'), 414],
  ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\n', 505],
  ['HTTP/1.2', get('GET / HTTP/1.2'), 505],
  ['HTTP/3.0', get('GET / HTTP/3.0'), 505],
  ['a lower-case version', get('GET / http/1.1'), 400],
  ['a version of more digits', get('GET / HTTP/1.10'), 400],
  ['no minor version', get('GET / HTTP/1'), 400],
  // Fields (RFC 9112 §5).
  ['a space before the colon', post('Content-Length : 5'), 400],
  ['a tab before the colon', post('Transfer-Encoding\t: chunked'), 400],
  ['an empty name', post(': x'), 400],
  ['no colon', post('Content-Length'), 400],
  ['a folded value', post('X-A: b\r\n Content-Length: 5'), 400],
  ['a folded first field', `GET / HTTP/1.1\r\n ${host}\r\n`, 400],
  ['a name with a space', post('X A: b'), 400],
  ['a name with a byte above 0x7f', post('X-\xe9: b'), 400],
  ['too many fields', post(Array.from({ length: 100 }, (_, n) => `X-${n}: 1`).join('\r\n')), 431],
  ['too large a head', post(`X-A: ${'a'.repeat(defaultHttpLimits.headBytes)}`), 431],
  // Host (RFC 9112 §3.2).
  ['no Host', 'GET / HTTP/1.1\r\nX-A: b\r\n\r\n', 400],
  ['two Hosts', post('host: a.example'), 400],
  ['two Hosts in HTTP/1.0', `GET / HTTP/1.0\r\n${host}Host: b.example\r\n\r\n`, 400],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n', 400],
  ['a Host with user info', 'GET / HTTP/1.1\r\nHost: u@a.example\r\n\r\n', 400],
  ['a Host with a comma', 'GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n', 400],
  ['a Host with a space', 'GET / HTTP/1.1\r\nHost: a.example b\r\n\r\n', 400],
  ['a Host with two ports', 'GET / HTTP/1.1\r\nHost: a.example:80:81\r\n\r\n', 400],
  ['a Host with port 65536', 'GET / HTTP/1.1\r\nHost: a.example:65536\r\n\r\n', 400],
  ['a Host with a port that is none', 'GET / HTTP/1.1\r\nHost: a.example:x\r\n\r\n', 400],
  ['a Host with empty labels', 'GET / HTTP/1.1\r\nHost: a..example\r\n\r\n', 400],
  ['a Host that is one dot', 'GET / HTTP/1.1\r\nHost: .\r\n\r\n', 400],
  ['a Host with a bad IPv6 address', 'GET / HTTP/1.1\r\nHost: [::1::2]\r\n\r\n', 400],
  ['a Host of 256 bytes', `GET / HTTP/1.1\r\nHost: ${'a'.repeat(256)}\r\n\r\n`, 400],
  ['a bad Host beside an absolute target', 'GET http://a.example/ HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
  // Framing (RFC 9112 §6).
  ['Content-Length beside chunked', post('Content-Length: 5\r\nTransfer-Encoding: chunked'), 400],
  ['chunked beside Content-Length', post('Transfer-Encoding: chunked\r\nContent-Length: 5'), 400],
  ['Content-Length beside an empty coding', post('Content-Length: 5\r\nTransfer-Encoding:'), 400],
  ['differing lengths', post('Content-Length: 5\r\nContent-Length: 6'), 400],
  ['lengths spelled differently', post('Content-Length: 5\r\nContent-Length: 05'), 400],
  ['a list of lengths', post('Content-Length: 5, 5'), 400],
  ['a length with a sign', post('Content-Length: +5'), 400],
  ['a negative length', post('Content-Length: -5'), 400],
  ['a hexadecimal length', post('Content-Length: 0x5'), 400],
  ['a length with an underscore', post('Content-Length: 1_0'), 400],
  ['a length with a space', post('Content-Length: 1 0'), 400],
  ['a length in quotes', post('Content-Length: "5"'), 400],
  ['an empty length', post('Content-Length:'), 400],
  ['a length with a no-break space', post('Content-Length: \xa05'), 400],
  ['an absurd length', post('Content-Length: 99999999999999999999'), 413],
  ['an unknown coding before chunked', post('Transfer-Encoding: gzip, chunked'), 501],
  ['an unknown coding on its own line', post('Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked'), 501],
  ['chunked is not the last coding', post('Transfer-Encoding: chunked, gzip'), 400],
  ['chunked twice', post('Transfer-Encoding: chunked, chunked'), 400],
  ['chunked twice, on two lines', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'), 400],
  ['chunked and identity', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity'), 400],
  ['identity', post('Transfer-Encoding: identity'), 400],
  ['an empty coding', post('Transfer-Encoding:'), 400],
  ['almost chunked', post('Transfer-Encoding: xchunked'), 400],
  ['chunked with a parameter', post('Transfer-Encoding: chunked;q=1'), 400],
  ['chunked in quotes', post('Transfer-Encoding: "chunked"'), 400],
  ['chunked after a semicolon', post('Transfer-Encoding: ;chunked'), 400],
  ['chunked with a no-break space', post('Transfer-Encoding: \xa0chunked'), 400],
  ['chunked in HTTP/1.0', `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n`, 400],
]

for (const [name, bytes, status] of vectors) {
  test(`${status}: ${name}`, () => {
    for (const sizes of [[bytes.length], [1], [7, 1, 3]]) assert.equal(readInPieces(bytes, sizes).status, status)
  })
}
