import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MillraceError } from '../../src/errors.ts'
import type { HostPort } from '../../src/net/address.ts'
import { findProxyHeaderEnd, maxProxyHeaderBytes, parseProxyHeader } from '../../src/net/proxy-protocol.ts'
import { proxyProtocolHeader } from '../../src/net/proxy-protocol-header.ts'

const bounded = { numRuns: 500, interruptAfterTimeLimit: 2_000, markInterruptAsFailure: false } as const
const signature = '0d0a0d0a000d0a515549540a'

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex')
const isRefusal = (error: unknown): boolean =>
  error instanceof MillraceError && error.code === 'ERR_PROXY_PROTOCOL' && !/[^\x20-\x7e]/.test(error.message)

/** What a reader with readHead() gets; undefined: not complete. Throws what the parser throws. */
function read(bytes: Buffer): { readonly header: unknown; readonly rest: string } | undefined {
  const end = findProxyHeaderEnd(bytes)
  if (end === 0) return undefined
  return { header: parseProxyHeader(bytes.subarray(0, end)), rest: bytes.toString('latin1', end) }
}

const v4 = fc.ipV4()
const v6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => {
    const groups = Array.from({ length: 8 }, (_, i) =>
      Buffer.from(bytes)
        .readUInt16BE(2 * i)
        .toString(16),
    )
    return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
  })
  .filter((host) => !host.startsWith('::ffff:'))
const port = fc.integer({ min: 0, max: 65_535 })
const endOf = (host: fc.Arbitrary<string>) => fc.record({ host, port }, { noNullPrototype: true })
const sameFamily = fc.oneof(fc.tuple(endOf(v4), endOf(v4)), fc.tuple(endOf(v6), endOf(v6)))
const anyFamily = fc.tuple(endOf(fc.oneof(v4, v6)), endOf(fc.oneof(v4, v6)))
const version = fc.constantFrom('v1', 'v2')
const proxied = ([source, destination]: readonly [HostPort, HostPort]) => ({ kind: 'proxied', source, destination })

describe('the PROXY protocol, written', () => {
  const visitor = { host: '192.0.2.7', port: 50_000 }
  const front = { host: '198.51.100.1', port: 443 }

  it('in version 1, as the specification has it', () => {
    assert.equal(String(proxyProtocolHeader('v1', visitor, front)), 'PROXY TCP4 192.0.2.7 198.51.100.1 50000 443\r\n')
    const six = proxyProtocolHeader('v1', { host: 'fe80::1%eth0', port: 1 }, { host: '2001:DB8:0::2', port: 2 })
    assert.equal(String(six), 'PROXY TCP6 fe80::1 2001:db8::2 1 2\r\n')
  })

  it('in version 2, byte by byte', () => {
    const four = `${signature} 21 11 000c c0000207 c6336401 c350 01bb`
    assert.deepEqual(proxyProtocolHeader('v2', visitor, front), hex(four))
    const six = proxyProtocolHeader('v2', { host: '::1', port: 1 }, { host: '2001:db8::2', port: 2 })
    const addresses = '00000000000000000000000000000001 20010db8000000000000000000000002'
    assert.deepEqual(six, hex(`${signature} 21 21 0024 ${addresses} 0001 0002`))
  })

  it('with both addresses as IPv6 where the families differ', () => {
    const text = String(proxyProtocolHeader('v1', visitor, { host: '::1', port: 443 }))
    assert.equal(text, 'PROXY TCP6 ::ffff:192.0.2.7 ::1 50000 443\r\n')
  })

  it('says that nothing is known where nothing is', () => {
    assert.equal(String(proxyProtocolHeader('v1', undefined, front)), 'PROXY UNKNOWN\r\n')
    assert.equal(String(proxyProtocolHeader('v1', { host: 'a name', port: 1 }, front)), 'PROXY UNKNOWN\r\n')
    assert.deepEqual(proxyProtocolHeader('v2', visitor, undefined), hex(`${signature} 21 00 0000`))
  })

  it('is read back as it was, whatever the addresses', () => {
    fc.assert(
      fc.property(version, sameFamily, (how, ends) => {
        const bytes = proxyProtocolHeader(how, ...ends)
        assert.deepEqual(read(Buffer.concat([bytes, Buffer.from('rest')])), { header: proxied(ends), rest: 'rest' })
      }),
      bounded,
    )
    fc.assert(
      fc.property(version, anyFamily, (how, ends) => {
        assert.deepEqual(read(proxyProtocolHeader(how, ...ends)), { header: proxied(ends), rest: '' })
      }),
      bounded,
    )
  })
})

describe('the PROXY protocol, read', () => {
  it('says the same for every split, and nothing before the header is whole', () => {
    fc.assert(
      fc.property(version, anyFamily, fc.uint8Array({ maxLength: 20 }), (how, ends, rest) => {
        const header = proxyProtocolHeader(how, ...ends)
        const bytes = Buffer.concat([header, rest])
        for (let have = 0; have < header.length; have++) assert.equal(findProxyHeaderEnd(bytes.subarray(0, have)), 0)
        for (let have = header.length; have <= bytes.length; have++) {
          assert.equal(findProxyHeaderEnd(bytes.subarray(0, have)), header.length)
        }
      }),
      bounded,
    )
  })

  it('skips the TLVs of version 2', () => {
    const header = `${signature} 21 11 0016 c0000207 c6336401 c350 01bb 04 0007 00000000000000`
    assert.deepEqual(read(Buffer.concat([hex(header), Buffer.from('x')])), {
      header: proxied([
        { host: '192.0.2.7', port: 50_000 },
        { host: '198.51.100.1', port: 443 },
      ]),
      rest: 'x',
    })
  })

  it("leaves the connection's own addresses where the header has none", () => {
    const cases = [
      Buffer.from('PROXY UNKNOWN\r\n'),
      Buffer.from('PROXY UNKNOWN ffff:: whatever 1 2 3\r\n'),
      hex(`${signature} 20 00 0000`),
      // A health check may carry addresses; they mean nothing.
      hex(`${signature} 20 11 000c c0000207 c6336401 c350 01bb`),
      hex(`${signature} 21 00 0003 010203`),
      hex(`${signature} 21 31 00d8 ${'00'.repeat(216)}`),
    ]
    for (const bytes of cases) assert.deepEqual(read(bytes), { header: { kind: 'own' }, rest: '' })
  })

  it('refuses what is none, at the first wrong byte', () => {
    const line = (text: string): Buffer => Buffer.from(`${text}\r\n`)
    const bad: readonly (readonly [string, Buffer])[] = [
      ['HTTP', Buffer.from('G')],
      ['TLS', hex('16')],
      ['POST, which begins like PROXY', Buffer.from('PO')],
      ['lower case', Buffer.from('PROXy')],
      ['other signature', hex('0d0a0d0a000d0a515549540b')],
      ['no family', line('PROXY ')],
      ['family', line('PROXY TCP5 1.1.1.1 2.2.2.2 1 2')],
      ['UDP', line('PROXY UDP4 1.1.1.1 2.2.2.2 1 2')],
      ['IPv6 as TCP4', line('PROXY TCP4 ::1 ::2 1 2')],
      ['IPv4 as TCP6', line('PROXY TCP6 1.1.1.1 2.2.2.2 1 2')],
      ['zone', line('PROXY TCP6 fe80::1%1 ::2 1 2')],
      ['leading zero in an address', line('PROXY TCP4 01.1.1.1 2.2.2.2 1 2')],
      ['leading zero in a port', line('PROXY TCP4 1.1.1.1 2.2.2.2 01 2')],
      ['port', line('PROXY TCP4 1.1.1.1 2.2.2.2 65536 2')],
      ['sign', line('PROXY TCP4 1.1.1.1 2.2.2.2 +1 2')],
      ['two spaces', line('PROXY TCP4  1.1.1.1 2.2.2.2 1 2')],
      ['space at the end', line('PROXY TCP4 1.1.1.1 2.2.2.2 1 2 ')],
      ['bare LF in it', line('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n')],
      ['a field too few', line('PROXY TCP4 1.1.1.1 2.2.2.2 1')],
      ['no line within 107 bytes', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(100)}\r\n`)],
      ['version 1 in binary', hex(`${signature} 11 11 0000`)],
      ['command', hex(`${signature} 22 11 000c c0000207 c6336401 c350 01bb`)],
      ['UDP in version 2', hex(`${signature} 21 12 000c c0000207 c6336401 c350 01bb`)],
      ['IPv4 too short', hex(`${signature} 21 11 000b c0000207 c6336401 c350 01`)],
      ['IPv6 too short', hex(`${signature} 21 21 000c c0000207 c6336401 c350 01bb`)],
      ['too long', hex(`${signature} 21 11 ffff`)],
    ]
    for (const [what, bytes] of bad) assert.throws(() => read(bytes), isRefusal, what)
  })

  it('takes the longest line, and the longest header, that are allowed', () => {
    const line = `PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`
    assert.equal(findProxyHeaderEnd(Buffer.from(line)), line.length)
    const unknown = `PROXY UNKNOWN ${'x'.repeat(107 - 16)}\r\n`
    assert.equal(findProxyHeaderEnd(Buffer.from(unknown)), 107)
    const length = maxProxyHeaderBytes - 16
    const long = hex(`${signature} 20 00 ${length.toString(16).padStart(4, '0')} ${'00'.repeat(length)}`)
    assert.equal(findProxyHeaderEnd(long), maxProxyHeaderBytes)
  })

  it('answers any bytes with a header, "more" or a refusal, and never looks beyond its limit', () => {
    const start = fc.constantFrom(Buffer.alloc(0), Buffer.from('PROXY '), hex(signature), hex(`${signature}2111000c`))
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 5_000 }), (head, tail) => {
        const bytes = Buffer.concat([head, tail])
        try {
          const end = findProxyHeaderEnd(bytes)
          assert.ok(end >= 0 && end <= Math.min(bytes.length, maxProxyHeaderBytes))
          if (end > 0) parseProxyHeader(bytes.subarray(0, end))
          else assert.ok(bytes.length < maxProxyHeaderBytes)
        } catch (error) {
          assert.ok(isRefusal(error), String(error))
        }
      }),
      bounded,
    )
  })
})
