import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MillraceError } from '../../src/errors.ts'
import { ipFromBytes, ipToBytes, ipToBytes16 } from '../../src/net/ip-bytes.ts'
import { parseNetworks } from '../../src/net/networks.ts'

describe('networks', () => {
  const networks = parseNetworks(['10.1.2.3/8', '192.0.2.1', 'fd00::/8', '2001:db8::1'])

  it('hold what lies in them, by either spelling of IPv4', () => {
    for (const host of ['10.255.0.1', '::ffff:10.0.0.1', '192.0.2.1', 'fd12::1%eth0', '2001:DB8:0::1']) {
      assert.ok(networks.has(host), host)
    }
  })

  it('hold nothing else', () => {
    for (const host of ['11.0.0.1', '192.0.2.2', '::1', '::10.0.0.1', '2001:db8::2', '', 'localhost', '/run/sock']) {
      assert.ok(!networks.has(host), host)
    }
    assert.ok(!parseNetworks([]).has('127.0.0.1'))
  })

  it('are refused when they are none', () => {
    for (const text of [
      '',
      'localhost',
      '10.0.0.0/33',
      '::/129',
      '10.0.0/8',
      '10.0.0.0/',
      '10.0.0.0/-1',
      'fe80::1%1/64',
    ]) {
      const check = (error: unknown) => error instanceof MillraceError && error.code === 'ERR_NETWORK'
      assert.throws(() => parseNetworks([text]), check, text)
    }
  })
})

describe('bytes of IP addresses', () => {
  it('give the address back in its short form', () => {
    for (const host of ['0.0.0.0', '255.1.20.3', '::', '::1', '1::', '2001:db8::1:0:0:1', 'fe80::1']) {
      assert.equal(ipFromBytes(ipToBytes(host)), host)
    }
    assert.equal(ipFromBytes(ipToBytes('::ffff:192.0.2.1')), '192.0.2.1')
    assert.equal(ipFromBytes(ipToBytes16('192.0.2.1')), '192.0.2.1')
    assert.equal(ipToBytes('::1.2.3.4').toString('hex'), '00000000000000000000000001020304')
  })

  it('are what any 16 bytes come back as', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        assert.deepEqual(ipToBytes16(ipFromBytes(Buffer.from(bytes))), Buffer.from(bytes))
      }),
      { numRuns: 500 },
    )
  })
})
