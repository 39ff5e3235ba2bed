import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LoginBackoff } from '../../src/relay/token-backoff.ts'
import { fitsGlob } from '../../src/relay/token-globs.ts'

describe('LoginBackoff', () => {
  it('doubles the wait from 1 s to 5 minutes, and forgets after 15 quiet minutes', () => {
    const backoff = new LoginBackoff({ failures: 3, addresses: 10 })
    const waits: number[] = []
    for (let i = 0; i < 14; i++) {
      backoff.failed('192.0.2.1', 1000)
      waits.push(backoff.waitMs('192.0.2.1', 1000) / 1000)
    }
    assert.deepEqual(waits, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
    assert.equal(backoff.waitMs('192.0.2.2', 1000), 0)
    assert.equal(backoff.waitMs('192.0.2.1', 301_000), 0)
    backoff.failed('192.0.2.1', 1_000_000)
    assert.equal(backoff.waitMs('192.0.2.1', 1_000_000), 0)
  })

  it('counts IPv6 by /64, and IPv4 written as IPv6 as IPv4', () => {
    const backoff = new LoginBackoff({ failures: 1, addresses: 10 })
    backoff.failed('2001:db8::1', 0)
    backoff.failed('::ffff:192.0.2.1', 0)
    assert(backoff.waitMs('2001:db8::ffff:2', 0) > 0)
    assert.equal(backoff.waitMs('2001:db8:0:1::1', 0), 0)
    assert(backoff.waitMs('192.0.2.1', 0) > 0)
  })

  it('is bounded: who failed longest ago is forgotten', () => {
    const backoff = new LoginBackoff({ failures: 1, addresses: 3 })
    for (let i = 0; i < 1000; i++) backoff.failed(`10.0.${i >> 8}.${i & 255}`, i)
    assert.equal(backoff.size, 3)
    assert.equal(backoff.waitMs('10.0.0.0', 999), 0)
    assert(backoff.waitMs('10.0.3.231', 999) > 0)
  })
})

describe('globs of host names', () => {
  for (const [pattern, yes, no] of [
    ['a.example', ['a.example'], ['b.example', 'a.example.com', 'x.a.example']],
    ['*.example', ['a.example'], ['example', 'a.b.example']],
    ['**.example', ['a.example', 'a.b.example'], ['example', 'xexample']],
    ['web-*', ['web-', 'web-1', 'web-a-b'], ['web', 'xweb-1', 'web-1.a']],
    ['*a*b*', ['ab', 'xaxbx', 'aabb'], ['ba', 'a', 'a.b']],
    ['a*a', ['aa', 'aba'], ['a', 'ab']],
  ] as const) {
    it(pattern, () => {
      for (const host of yes) assert.equal(fitsGlob(pattern, host), true, host)
      for (const host of no) assert.equal(fitsGlob(pattern, host), false, host)
    })
  }
})
