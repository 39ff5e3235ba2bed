import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Reservations, type ReservationsOptions } from '../../src/relay/reservations.ts'

const owner = (identityKey: string, clientId = 'id'): { identityKey: string; clientId: string } => ({
  identityKey,
  clientId,
})

class Bed {
  time = 1000
  readonly kept: Reservations

  constructor(options: Partial<ReservationsOptions> = {}) {
    this.kept = new Reservations({ graceMs: 100, limit: 10, byToken: true, now: () => this.time, ...options })
  }

  lose(who: string, host: string): void {
    this.kept.occupy(owner(who), 'host', host)
    this.kept.keep('host', host)
  }
}

describe('Reservations', () => {
  it('keep an address for its token for the grace period, and no longer', () => {
    const bed = new Bed()
    bed.lose('a', 'x')
    assert.equal(bed.kept.mayHave(owner('b'), 'host', 'x'), false)
    assert.equal(bed.kept.mayHave(owner('a', 'another'), 'host', 'x'), true)
    assert.equal(bed.kept.mayHave(owner('b'), 'port', 'x'), true)
    assert.equal(bed.kept.isAway('host', 'x'), true)
    bed.time += 100
    assert.equal(bed.kept.mayHave(owner('b'), 'host', 'x'), true)
    assert.equal(bed.kept.isAway('host', 'x'), false)
  })

  it('without tokens, keep it for the agent alone', () => {
    const bed = new Bed({ byToken: false })
    bed.lose('a', 'x')
    assert.equal(bed.kept.mayHave(owner('a', 'another'), 'host', 'x'), false)
    assert.equal(bed.kept.mayHave(owner('a'), 'host', 'x'), true)
  })

  it('keep nothing that was given up, and nothing at all without a grace period', () => {
    const bed = new Bed()
    bed.kept.occupy(owner('a'), 'port', '1')
    bed.kept.free('port', '1')
    bed.kept.keep('port', '1')
    assert.equal(bed.kept.isAway('port', '1'), false)
    const none = new Bed({ graceMs: 0 })
    none.lose('a', 'x')
    assert.equal(none.kept.isAway('host', 'x'), false)
    none.kept.restore([['host x', 'somebody', 0]])
    assert.equal(none.kept.isAway('host', 'x'), false)
  })

  it('tell the next relay: what was in use gets the whole grace, the rest what is left of it', () => {
    const before = new Bed()
    before.lose('a', 'old')
    before.time += 90
    before.kept.occupy(owner('a'), 'host', 'live')
    const after = new Bed()
    assert.equal(before.kept.changed, true)
    after.kept.restore(before.kept.save())
    assert.equal(before.kept.changed, false)
    after.time += 9
    assert.equal(after.kept.mayHave(owner('b'), 'host', 'old'), false)
    after.time += 2
    assert.equal(after.kept.mayHave(owner('b'), 'host', 'old'), true)
    assert.equal(after.kept.mayHave(owner('b'), 'host', 'live'), false)
    after.time += 90
    assert.equal(after.kept.mayHave(owner('b'), 'host', 'live'), true)
  })

  it('are limited: who fills them loses its own first', () => {
    const bed = new Bed({ limit: 2 })
    for (const [who, host] of ['ax', 'by', 'bz'].map((text) => [text.charAt(0), text.charAt(1)] as const)) {
      bed.lose(who, host)
    }
    assert.deepEqual(
      ['x', 'y', 'z'].map((host) => bed.kept.isAway('host', host)),
      [true, false, true],
    )
    bed.lose('c', 'w')
    assert.equal(bed.kept.isAway('host', 'w'), false)
    assert.equal(bed.kept.isAway('host', 'x'), true)
  })
})
