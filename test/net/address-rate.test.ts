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
    const rate = new AddressRate(1, { perSecond: 1, addresses: 4 })
    for (let i = 0; i < 1000; i++) {
      rate.take(`10.0.${i >> 8}.${i & 255}`, i / 1000)
      assert(rate.size <= 4, `${rate.size}`)
    }
    assert.equal(rate.may('10.0.3.231', 1), false, 'the last one')
    assert.equal(rate.may('10.0.0.0', 1), true, 'the first one')
    rate.take('192.0.2.1', 5_000)
    assert.equal(rate.size, 1)
  })

  it('keeps counting an address that comes all the time, whoever else comes', () => {
    const rate = new AddressRate(2, { perSecond: 10, addresses: 8 })
    let through = 0
    for (let ms = 0; ms < 10_000; ms += 10) {
      if (rate.take('192.0.2.1', ms)) through++
      if (ms % 50 === 0) rate.take(`10.${ms >> 8}.${ms & 255}.1`, ms)
    }
    assert(through >= 110 && through <= 121, `${through}`)
  })

  it('keeps counting an address that comes all the time, however seldom another one does', () => {
    const rate = new AddressRate(2, { perSecond: 10, addresses: 8 })
    let through = 0
    for (let ms = 0; ms < 20_000; ms += 10) {
      if (rate.take('192.0.2.1', ms)) through++
      if (ms % 4100 === 0) rate.take(`10.0.0.${ms / 4100}`, ms)
    }
    assert(through >= 210 && through <= 221, `${through}`)
  })
})
