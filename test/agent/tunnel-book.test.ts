import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TunnelSpec } from '../../src/agent/options.ts'
import { TunnelBook } from '../../src/agent/tunnel-book.ts'
import type { NewTunnel } from '../../src/wire/messages.ts'

const base = { target: { kind: 'tcp', host: '127.0.0.1', port: 80 }, targetTrust: { kind: 'none' } } as const
const web: TunnelSpec = { ...base, protocol: 'http+https' }
const raw: TunnelSpec = { ...base, protocol: 'tcp' }
const ours = { extended: true, plain: false }
const theirs = { extended: false, plain: false }
const old = { extended: false, plain: false }

function announced(book: TunnelBook, style: typeof ours, urls: readonly string[]): void {
  const ids = book.requests(style).map(({ ReqId }) => ReqId)
  for (const [i, url] of urls.entries()) {
    assert.ok(book.opened(newTunnel(ids[Math.min(i, ids.length - 1)] ?? '', url)))
  }
}

function newTunnel(ReqId: string, Url: string): NewTunnel {
  return { type: 'NewTunnel', ReqId, Url, Protocol: Url.split(':', 1)[0] ?? '', Error: '' }
}

describe('the tunnel book', () => {
  it('asks for what the user asked for', () => {
    const [request] = new TunnelBook([{ ...web, subdomain: 'web', httpAuth: 'a:b' }]).requests(ours)
    assert.match(request?.ReqId ?? '', /^[0-9a-f]{16}$/)
    assert.deepEqual(
      { ...request, ReqId: '' },
      {
        type: 'ReqTunnel',
        ReqId: '',
        Protocol: 'http+https',
        Hostname: '',
        Subdomain: 'web',
        HttpAuth: 'a:b',
        RemotePort: 0,
      },
    )
  })

  it('offers plain proxy connections for tls tunnels, unless the service is told who visits', () => {
    const style = { extended: true, plain: 'passthrough' } as const
    const encrypt = (more: Partial<TunnelSpec>): unknown =>
      new TunnelBook([{ ...raw, ...more }]).requests(style)[0]?.Encrypt
    assert.deepEqual(
      [encrypt({ protocol: 'tls' }), encrypt({ protocol: 'tls', proxyProtocol: 'v1' }), encrypt({ protocol: 'tcp' })],
      [false, undefined, undefined],
    )
  })

  it('offers plain proxy connections only where they were negotiated', () => {
    const book = new TunnelBook([raw])
    assert.equal(book.requests(ours)[0]?.Encrypt, undefined)
    assert.equal(book.requests({ extended: true, plain: true })[0]?.Encrypt, false)
  })

  it('asks for the same addresses again', () => {
    const book = new TunnelBook([web, raw])
    announced(book, ours, ['http://ab12cd34.example.com:8080', 'tcp://example.com:20001'])
    const [first, second] = book.requests(ours)
    assert.deepEqual([first?.Hostname, first?.Subdomain], ['ab12cd34.example.com', ''])
    assert.equal(second?.RemotePort, 20_001)
  })

  it('asks a 1.x server for the first label, as a Hostname would have to hold its port', () => {
    const book = new TunnelBook([web])
    announced(book, old, ['http://1a2b3c.localhost:18080'])
    const [request] = book.requests(old)
    assert.deepEqual([request?.Hostname, request?.Subdomain], ['', '1a2b3c'])
  })

  it('keeps to the name that the user chose', () => {
    const book = new TunnelBook([{ ...web, subdomain: 'web' }])
    announced(book, ours, ['http://web.example.com'])
    const [request] = book.requests(ours)
    assert.deepEqual([request?.Hostname, request?.Subdomain], ['', 'web'])
  })

  it('gives a remembered address up after three refusals in a row', () => {
    const book = new TunnelBook([raw])
    announced(book, ours, ['tcp://example.com:20001'])
    const ports = Array.from({ length: 4 }, () => {
      const [request] = book.requests(ours)
      book.refused(request?.ReqId ?? '', 'the port is taken')
      return request?.RemotePort
    })
    assert.deepEqual(ports, [20_001, 20_001, 20_001, 0])
  })

  it('knows which tunnel was refused, and why, until it is there', () => {
    const book = new TunnelBook([raw, web])
    const [first, second] = book.requests(ours)
    assert.equal(book.refused(first?.ReqId ?? '', 'the port is taken'), raw)
    assert.equal(book.settled, false)
    book.opened({
      type: 'NewTunnel',
      ReqId: second?.ReqId ?? '',
      Url: 'http://a.example.com',
      Protocol: 'http',
      Error: '',
    })
    assert.deepEqual(
      [book.settled, book.allUp, book.failed],
      [true, false, [{ spec: raw, reason: 'the port is taken' }]],
    )
    const again = book.requestAgain(raw, ours)
    assert.notEqual(again?.ReqId, first?.ReqId)
    book.opened({
      type: 'NewTunnel',
      ReqId: again?.ReqId ?? '',
      Url: 'tcp://example.com:1',
      Protocol: 'tcp',
      Error: '',
    })
    assert.deepEqual([book.allUp, book.failed], [true, []])
  })

  it('takes a refusal without an id for that of the first request without an answer, as 1.x relays answer in order', () => {
    const book = new TunnelBook([raw, web])
    const [first] = book.requests(theirs)
    assert.equal(book.refused('', 'the port is taken'), raw)
    assert.equal(book.settled, false)
    assert.equal(book.refused('', 'the name is taken'), web)
    assert.equal(book.settled, true)
    assert.deepEqual(
      book.failed.map(({ reason }) => reason),
      ['the port is taken', 'the name is taken'],
    )
    assert.equal(book.refused('', 'once more'), undefined)
    // Asked again, in the other order.
    book.requestAgain(web, theirs)
    book.requestAgain(raw, theirs)
    assert.equal(book.refused('', 'again'), web)
    assert.equal(book.refused(first?.ReqId ?? '', 'an old request'), undefined)
  })

  it('takes the addresses of an earlier life', () => {
    const before = new TunnelBook([raw, web])
    announced(before, ours, ['tcp://example.com:20001'])
    const book = new TunnelBook([raw, web])
    book.restore(before.addresses)
    assert.deepEqual(
      book.requests(ours).map(({ Hostname, RemotePort }) => [Hostname, RemotePort]),
      [
        ['', 20_001],
        ['', 0],
      ],
    )
  })

  it('finds tunnels by the exact URL, of this session alone', () => {
    const book = new TunnelBook([web])
    announced(book, ours, ['http://a.example.com', 'https://a.example.com:8443'])
    assert.equal(book.find('https://a.example.com:8443')?.protocol, 'https')
    assert.equal(book.find('https://a.example.com'), undefined)
    assert.equal(book.live.length, 2)
    book.requests(ours)
    assert.equal(book.find('http://a.example.com'), undefined)
  })

  it('ignores announcements that answer no request, and URLs that are none', () => {
    const book = new TunnelBook([web])
    const [request] = book.requests(ours)
    assert.equal(book.opened(newTunnel('0123456789abcdef', 'http://a.b')), undefined)
    assert.equal(book.opened(newTunnel('', 'http://a.b')), undefined)
    assert.ok(book.opened(newTunnel(request?.ReqId ?? '', 'no url at all')))
    assert.equal(book.requests(ours)[0]?.Hostname, '')
  })
})
