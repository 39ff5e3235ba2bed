import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Demand } from '../../src/relay/demand.ts'

/** Visitors at a steady rate, on a clock of the test's own. */
class Course {
  now = 0
  readonly demand: Demand

  constructor(openMs: number, floor = 1) {
    this.demand = new Demand({ floor, now: () => this.now })
    if (openMs > 0) this.demand.opened(openMs)
  }

  /** So many a second for so many seconds, ticking as a relay does. */
  run(perSecond: number, seconds: number): this {
    for (let s = 0; s < seconds; s++) {
      for (let i = 0; i < perSecond; i++) {
        this.now += 1000 / perSecond
        this.demand.count()
      }
      if (perSecond === 0) this.now += 1000
      this.demand.tick()
    }
    return this
  }

  spare(ceiling = 10_000): number {
    return this.demand.spare(ceiling)
  }
}

/** Where a stretch begins and ends may make a difference of one visitor; a quarter fades in a second. */
function assertNear(value: number, expected: number, what: string): void {
  assert(value >= expected * 0.7 && value <= expected + 2, `${what}: ${value}, not about ${expected}`)
}

describe('the demand for proxy connections', () => {
  it('is arrival rate × time to open one, twice', () => {
    for (const openMs of [200, 400, 1600]) {
      for (const rate of [20, 100, 500]) {
        const expected = 2 * rate * (openMs / 1000)
        assertNear(new Course(openMs).run(rate, 30).spare(), expected, `${rate}/s, ${openMs} ms`)
      }
    }
  })

  it('reckons with bunches where opening takes no time, and with 5 s where it takes for ever', () => {
    assertNear(new Course(1).run(100, 30).spare(), 25, 'a fast network')
    assertNear(new Course(60_000).run(100, 30).spare(), 500, 'an agent that hardly answers')
    const bunch = new Course(5)
    for (let i = 0; i < 40; i++) bunch.demand.count()
    assert.equal(bunch.spare(), 1)
    bunch.run(0, 1)
    assertNear(bunch.spare(), 40, 'after a bunch')
  })

  it('follows the rate up at once, and down within half a minute', () => {
    const course = new Course(500).run(10, 20)
    const quiet = course.spare()
    course.run(200, 3)
    assertNear(course.spare(), 200, 'the busy times')
    course.run(10, 30)
    assert(course.spare() <= quiet + 2, `${course.spare()} at last, ${quiet} at first`)
    course.run(0, 60)
    assert.equal(course.spare(), 1)
  })

  it('keeps within floor and ceiling', () => {
    const course = new Course(1000, 4)
    assert.equal(course.spare(), 4)
    assert.equal(course.spare(2), 2)
    assert.equal(course.run(500, 5).spare(64), 64)
  })

  it('smooths the time to open one', () => {
    const { demand } = new Course(80)
    assert.equal(demand.openMs, 80)
    demand.opened(160)
    assert.equal(demand.openMs, 90)
    for (let i = 0; i < 100; i++) demand.opened(20)
    assert(Math.abs(demand.openMs - 20) < 1)
  })
})
