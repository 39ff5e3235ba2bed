import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { randomName } from '../../src/relay/names.ts'
import { TokenBook } from '../../src/relay/tokens.ts'
import { webUrl } from '../../src/relay/urls.ts'
import { sha256 } from './relay-bed.ts'

describe('TokenBook', () => {
  it('knows tokens by their hashes, and tells them apart', () => {
    const book = new TokenBook(
      [
        { name: 'a', sha256: sha256('token a') },
        { name: 'b', sha256: sha256('token b').toUpperCase() },
      ],
      false,
    )
    assert.equal(book.identify('token a')?.name, 'a')
    assert.equal(book.identify('token b')?.name, 'b')
    assert.notEqual(book.identify('token a')?.key, book.identify('token b')?.key)
    for (const stranger of ['', 'token c', sha256('token a')]) assert.equal(book.identify(stranger), undefined)
  })

  it('lets anybody in when open, under one identity for each token', () => {
    const book = new TokenBook([], true)
    assert.equal(book.identify('')?.name, '')
    assert.equal(book.identify('x')?.key, book.identify('x')?.key)
    assert.notEqual(book.identify('x')?.key, book.identify('y')?.key)
  })

  it('allows the host names of a token, or any', () => {
    const hostnames = ['own.example.com', '*.below.example.com', '**.all.example.com']
    const subdomains = ['web-*']
    const book = new TokenBook([{ name: 'a', sha256: sha256('a'), hostnames, subdomains }], true, {
      domain: 'relay.example',
    })
    const scoped = book.identify('a')
    for (const host of ['own.example.com', 'x.below.example.com', 'x.y.all.example.com', 'web-1.relay.example']) {
      assert.equal(scoped?.mayHave(host), true, host)
    }
    for (const host of [
      'below.example.com',
      'xbelow.example.com',
      'example.com',
      'x.own.example.com',
      'x.y.below.example.com',
      'all.example.com',
      'web.relay.example',
      'web-1.other',
    ]) {
      assert.equal(scoped?.mayHave(host), false, host)
    }
    assert.equal(book.identify('b')?.mayHave('example.com'), true)
  })

  it('refuses to be without tokens and closed', () => {
    assert.throws(() => new TokenBook([], false), { code: 'ERR_TOKENS_MISSING' })
  })
})

describe('addresses', () => {
  it('random names are DNS labels of 8 or more characters, and differ', () => {
    const names = Array.from({ length: 1000 }, randomName)
    for (const name of names) assert.match(name, /^[a-z][a-z0-9]{7,}$/)
    assert.equal(new Set(names).size, names.length)
  })

  it('tell the port unless it is the default one of the scheme', () => {
    assert.equal(webUrl('http', 'a.example.com', 80), 'http://a.example.com')
    assert.equal(webUrl('http', 'a.example.com', 443), 'http://a.example.com:443')
    assert.equal(webUrl('https', 'a.example.com', 443), 'https://a.example.com')
    assert.equal(webUrl('https', 'a.example.com', 8443), 'https://a.example.com:8443')
  })
})
