import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MillraceError } from '../../src/errors.ts'
import {
  describeTarget,
  formatAddress,
  formatHostPort,
  isDnsLabel,
  isDnsName,
  parseHostPort,
  parsePortRange,
  parseTarget,
  validateHostname,
} from '../../src/net/address.ts'

const bounded = { numRuns: 300, interruptAfterTimeLimit: 3_000, markInterruptAsFailure: false } as const

describe('parseHostPort', () => {
  it('reads a host and a port', () => {
    assert.deepEqual(parseHostPort('relay.example:4443'), { host: 'relay.example', port: 4443 })
    assert.deepEqual(parseHostPort('127.0.0.1:0'), { host: '127.0.0.1', port: 0 })
    assert.deepEqual(parseHostPort('[::1]:65535'), { host: '::1', port: 65_535 })
    assert.deepEqual(parseHostPort('[fe80::1%eth0]:80'), { host: 'fe80::1%eth0', port: 80 })
    assert.deepEqual(parseHostPort('my_service:80'), { host: 'my_service', port: 80 })
    assert.deepEqual(parseHostPort('absolute.example.:80'), { host: 'absolute.example.', port: 80 })
  })

  it('fills in what is missing from the defaults', () => {
    assert.deepEqual(parseHostPort(':4443', { host: '::' }), { host: '::', port: 4443 })
    assert.deepEqual(parseHostPort('4443', { host: '::' }), { host: '::', port: 4443 })
    assert.deepEqual(parseHostPort('relay.example', { port: 4443 }), { host: 'relay.example', port: 4443 })
    assert.deepEqual(parseHostPort('[::1]', { port: 4443 }), { host: '::1', port: 4443 })
    assert.deepEqual(parseHostPort('a:1', { host: 'b', port: 2 }), { host: 'a', port: 1 })
  })

  it('says what is missing when there is no default', () => {
    assert.throws(() => parseHostPort(':4443'), { code: 'ERR_ADDRESS', message: /the host is missing/ })
    assert.throws(() => parseHostPort('relay.example'), { code: 'ERR_ADDRESS', message: /the port is missing/ })
  })

  const refused: readonly string[] = [
    '',
    ':',
    'a:',
    'a:b',
    'a:65536',
    'a:-1',
    'a:+1',
    'a:1e3',
    'a: 1',
    ' a:1',
    'a:1\n',
    'a:000080',
    '::1',
    '::1:80',
    '[::1',
    '[::1]80',
    '[::1]:',
    '[1.2.3.4]:80',
    '[relay]:80',
    '[]:80',
    '1.2.3:80',
    '256.1.1.1:80',
    'a..b:80',
    '-a:80',
    'a b:80',
    'é.example:80',
    'u@h:80',
    'h/x:80',
  ]
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseHostPort(text, { port: 1 }), { code: 'ERR_ADDRESS' })
    })
  }

  it('reads back what formatHostPort writes', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain())
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (host, port) => {
        assert.deepEqual(parseHostPort(formatHostPort(host, port)), { host, port })
      }),
      bounded,
    )
  })

  it('throws nothing but its own error', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const parse of [parseHostPort, parseTarget, parsePortRange, validateHostname]) {
          try {
            parse(text)
          } catch (error) {
            assert.ok(error instanceof MillraceError)
          }
        }
      }),
      bounded,
    )
  })
})

describe('formatAddress', () => {
  it('writes every family', () => {
    assert.equal(formatAddress({ family: 'ipv4', host: '127.0.0.1', port: 80 }), '127.0.0.1:80')
    assert.equal(formatAddress({ family: 'ipv6', host: '::1', port: 80 }), '[::1]:80')
    assert.equal(formatAddress({ family: 'unix', path: '/run/x.sock' }), 'unix:/run/x.sock')
  })
})

describe('parseTarget', () => {
  it('reads every form', () => {
    assert.deepEqual(parseTarget('3000'), { kind: 'tcp', host: 'localhost', port: 3000 })
    assert.deepEqual(parseTarget(':3000'), { kind: 'tcp', host: 'localhost', port: 3000 })
    assert.deepEqual(parseTarget('10.0.0.2:22'), { kind: 'tcp', host: '10.0.0.2', port: 22 })
    assert.deepEqual(parseTarget('[::1]:22'), { kind: 'tcp', host: '::1', port: 22 })
    assert.deepEqual(parseTarget('unix:/run/app.sock'), { kind: 'unix', path: '/run/app.sock' })
    assert.deepEqual(parseTarget('unix:app.sock'), { kind: 'unix', path: 'app.sock' })
    assert.deepEqual(parseTarget('https://app.local:8443'), { kind: 'tls', host: 'app.local', port: 8443 })
    assert.deepEqual(parseTarget('https://app.local/'), { kind: 'tls', host: 'app.local', port: 443 })
    assert.deepEqual(parseTarget('HTTPS://[::1]'), { kind: 'tls', host: '::1', port: 443 })
    assert.deepEqual(parseTarget('http://localhost:3000/'), { kind: 'tcp', host: 'localhost', port: 3000 })
    assert.deepEqual(parseTarget('http://app'), { kind: 'tcp', host: 'app', port: 80 })
  })

  const refused: readonly string[] = [
    '',
    '0',
    'app',
    'app:0',
    '70000',
    'unix:',
    'unix:/a\0b',
    `unix:/${'x'.repeat(108)}`,
    'https://',
    'https://:443',
    'https://443',
    'https://app/path',
    'https://app:443/path',
    'https://user:pass@app',
    'ftp://app:21',
    'http:/app',
  ]
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.throws(() => parseTarget(text), { code: 'ERR_TARGET' })
    })
  }

  it('shows no credentials in its error, and nothing unprintable', () => {
    assert.throws(() => parseTarget('https://user:hunter2@app'), { message: /"\*\*\*@app"/ })
    assert.throws(() => parseTarget('a\u001b[31m\nb:80'), { message: /"a\?\[31m\?b:80"/ })
  })

  it('is read back from its description', () => {
    for (const text of ['localhost:3000', '[::1]:22', 'unix:/run/app.sock', 'https://app.local:8443']) {
      assert.equal(describeTarget(parseTarget(text)), text)
    }
  })
})

describe('parsePortRange', () => {
  it('reads a range or one port', () => {
    assert.deepEqual(parsePortRange('20000-20100'), { first: 20_000, last: 20_100 })
    assert.deepEqual(parsePortRange('1-65535'), { first: 1, last: 65_535 })
    assert.deepEqual(parsePortRange('80'), { first: 80, last: 80 })
  })

  for (const text of ['', '-', '0-5', '5-4', '1-65536', '1-', '-1', 'a-b', '1-2-3', '1 - 2', '1.5-2']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parsePortRange(text), { code: 'ERR_PORT_RANGE' })
    })
  }
})

describe('host names', () => {
  it('labels are letters, digits and inner hyphens', () => {
    for (const label of ['a', 'A1', '0', 'x'.repeat(63), 'a-b', 'xn--bcher-kva']) assert.ok(isDnsLabel(label), label)
    for (const label of ['', '-a', 'a-', 'a_b', 'a.b', 'é', 'x'.repeat(64), 'a\n', '*']) {
      assert.ok(!isDnsLabel(label), label)
    }
  })

  it('names are labels, at most 253 characters, not ending in a number', () => {
    const longest = `${'a.'.repeat(126)}b`
    for (const name of ['localhost', 'web.localhost', '1.example', 'EXAMPLE.com', longest]) assert.ok(isDnsName(name))
    const refused = ['', '.', 'a.', '.a', 'a..b', '127.0.0.1', '127.1', '1', '::1', '*.a', 'a b', `${longest}c`]
    for (const name of refused) assert.ok(!isDnsName(name), name)
  })

  it('have one form', () => {
    assert.equal(validateHostname('Web.Example.COM.'), 'web.example.com')
    assert.equal(validateHostname('web'), 'web')
    for (const name of ['', '.', 'a..', 'a:80', '127.0.0.1', 'a/b', 'a\n', 'İ.example']) {
      assert.throws(() => validateHostname(name), { code: 'ERR_HOSTNAME' }, name)
    }
  })
})
