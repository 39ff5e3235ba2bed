import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AddressRate } from '../../src/net/address-rate.ts'

/** How many of so many tries get through at one moment. */
function through(rate: AddressRate, host: string, tries: number, now: number): number {
  return Array.from({ length: tries }, () => rate.take(host, now)).filter(Boolean).length
}

describe('AddressRate', () => {
  it('lets a burst through, then the rate, each address for itself', () => {
    const rate = new AddressRate(2, { perSecond: 10, addresses: 100 })
    assert.equal(through(rate, '192.0.2.1', 50, 0), 20)
    assert.equal(rate.may('192.0.2.1', 0), false)
    assert.equal(through(rate, '192.0.2.2', 50, 0), 20)
    assert.equal(through(rate, '192.0.2.1', 50, 500), 5)
    assert.equal(rate.may('192.0.2.1', 600), true)
    assert.equal(through(rate, '192.0.2.1', 50, 3_600_000), 20)
  })

  it('counts IPv6 by /64', () => {
    const rate = new AddressRate(1, { perSecond: 1, addresses: 100 })
    assert.equal(rate.take('2001:db8::1', 0), true)
    assert.equal(rate.take('2001:db8::2', 0), false)
    assert.equal(rate.take('2001:db8:0:1::1', 0), true)
  })

  it('takes another rate over at once', () => {
    const options = { perSecond: 10, addresses: 100 }
    const rate = new AddressRate(1, options)
    assert.equal(through(rate, '192.0.2.1', 4, 0), 4)
    options.perSecond = 2
    assert.equal(through(rate, '192.0.2.1', 10, 0), 2)
  })

  it('is bounded: who came longest ago is forgotten, and who has its whole burst again', () => {
    const rate = new AddressRate(1, { perSecond: 1, addresses: 3 })
    for (let i = 0; i < 1000; i++) rate.take(`10.0.${i >> 8}.${i & 255}`, i / 1000)
    assert.equal(rate.size, 3)
    rate.take('192.0.2.1', 5_000)
    assert.equal(rate.size, 1)
  })
})
