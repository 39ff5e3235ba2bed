import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MillraceError } from '../../src/errors.ts'
import { parseNoProxy, proxyFromEnvironment } from '../../src/net/proxy-environment.ts'
import { describeProxy, parseProxy } from '../../src/net/proxy-server.ts'

const relay = { host: 'relay.example.com', port: 4443 }

describe('parseProxy', () => {
  it('reads addresses, with the default port of each kind', () => {
    assert.deepEqual(parseProxy('http://proxy:3128/'), { kind: 'http', address: { host: 'proxy', port: 3128 } })
    assert.deepEqual(parseProxy('HTTP://[::1]'), { kind: 'http', address: { host: '::1', port: 80 } })
    assert.deepEqual(parseProxy('proxy:8080'), { kind: 'http', address: { host: 'proxy', port: 8080 } })
    for (const scheme of ['socks5', 'socks5h', 'socks']) {
      assert.deepEqual(parseProxy(`${scheme}://10.0.0.1`), {
        kind: 'socks5',
        address: { host: '10.0.0.1', port: 1080 },
      })
    }
  })

  it('decodes user and password', () => {
    const { credentials, address } = parseProxy('http://j%40ne:p%3Aa%2Fss@w%C3%B6rd@proxy:1')
    assert.deepEqual(
      { credentials, address },
      {
        credentials: { user: 'j@ne', password: 'p:a/ss@wörd' },
        address: { host: 'proxy', port: 1 },
      },
    )
    assert.deepEqual(parseProxy('socks5://u@h').credentials, { user: 'u', password: '' })
  })

  it('refuses what is no proxy, and never shows what may be a password', () => {
    for (const text of [
      '',
      'http://',
      'https://u:hunter2@proxy:1',
      'socks4://u:hunter2@proxy',
      'http://u:hunter2@proxy:0',
      'http://u:hunter2@proxy:99999',
      'http://u:hunter2@',
      'http://u:hunter2',
      'http://u:hunter2%@proxy',
      'http://a%3Ab:hunter2@proxy',
      'http://u:hunter2@proxy/path',
      'http://u:hunter2@proxy\r\nHost: x',
      `socks5://u:hunter2${'x'.repeat(300)}@proxy`,
      'socks5://:hunter2@proxy',
      'ftp://hunter2',
    ]) {
      assert.throws(
        () => parseProxy(text),
        (error: unknown) => {
          assert.ok(error instanceof MillraceError && error.code === 'ERR_OUTBOUND_PROXY_URL', String(error))
          for (let at: unknown = error; at instanceof Error; at = at.cause) assert.ok(!at.message.includes('hunter2'))
          return true
        },
        text,
      )
    }
  })

  it('is described without its credentials', () => {
    assert.equal(describeProxy(parseProxy('socks5://user:hunter2@[::1]:9')), 'socks5://[::1]:9')
  })
})

describe('the proxy of the environment', () => {
  const chosen = (env: Record<string, string>, to = relay) => {
    const proxy = proxyFromEnvironment(env)(to)
    return proxy === undefined ? 'direct' : describeProxy(proxy)
  }

  it('is that of the first variable, in either case', () => {
    assert.equal(chosen({}), 'direct')
    assert.equal(chosen({ all_proxy: 'a:1', HTTP_PROXY: 'b:2' }), 'http://b:2')
    assert.equal(chosen({ http_proxy: 'a:1', HTTPS_PROXY: 'b:2' }), 'http://b:2')
    assert.equal(chosen({ HTTPS_PROXY: 'a:1', https_proxy: 'b:2' }), 'http://b:2')
    assert.equal(chosen({ https_proxy: '', ALL_PROXY: 'socks5://c' }), 'socks5://c:1080')
  })

  it('does not serve loopback, nor what no_proxy names', () => {
    for (const host of ['localhost', 'LOCALHOST.', 'a.localhost', '127.0.0.1', '127.9.9.9', '::1']) {
      assert.equal(chosen({ https_proxy: 'a:1' }, { host, port: 4443 }), 'direct', host)
    }
    for (const name of ['no_proxy', 'NO_PROXY']) {
      assert.equal(chosen({ https_proxy: 'a:1', [name]: 'example.com' }), 'direct')
    }
    assert.equal(chosen({ https_proxy: 'a:1', no_proxy: '' }), 'http://a:1')
  })

  it('names the variable that is wrong, and not its value', () => {
    assert.throws(
      () => proxyFromEnvironment({ HTTPS_PROXY: 'https://u:hunter2@p' }),
      (error: unknown) =>
        error instanceof MillraceError && /HTTPS_PROXY/.test(error.message) && !/hunter2/.test(error.message),
    )
  })
})

describe('no_proxy', () => {
  const cases: readonly (readonly [string, string, number, boolean])[] = [
    ['*', 'anything', 1, true],
    ['example.com', 'example.com', 1, true],
    ['example.com', 'a.EXAMPLE.com.', 1, true],
    ['example.com', 'badexample.com', 1, false],
    ['.example.com', 'a.example.com', 1, true],
    ['*.example.com', 'a.b.example.com', 1, true],
    ['example.com:4443', 'example.com', 4443, true],
    ['example.com:4443', 'example.com', 443, false],
    ['10.0.0.0/8', '10.2.3.4', 1, true],
    ['10.0.0.0/8', '11.2.3.4', 1, false],
    ['192.0.2.1', '192.0.2.1', 1, true],
    ['192.0.2.1:5', '192.0.2.1', 1, false],
    ['::1', '::1', 1, true],
    ['[2001:db8::1]', '2001:db8:0::1', 1, true],
    ['[2001:db8::1]:5', '2001:db8::1', 5, true],
    ['fd00::/8', 'fd12::1', 1, true],
    ['a, b\tc  example.com,,', 'example.com', 1, true],
    ['4', '1.2.3.4', 1, false],
    ['.', 'example.com', 1, false],
    [',', '', 1, false],
  ]
  for (const [text, host, port, excepted] of cases) {
    it(`${JSON.stringify(text)} ${excepted ? 'excepts' : 'leaves'} ${host}:${port}`, () => {
      assert.equal(parseNoProxy(text)({ host, port }), excepted)
    })
  }
})
