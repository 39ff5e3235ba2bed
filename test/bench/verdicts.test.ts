import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { contenders } from '../../bench/contenders/all.ts'
import { type Bar, bars, toleranceOf } from '../../bench/lib/bars.ts'
import { rowsOf, units } from '../../bench/lib/summary.ts'
import { judgeAll, ratiosOf, verdictLine } from '../../bench/lib/verdicts.ts'
import { scenarios } from '../../bench/scenarios/all.ts'
import { bulkRows, rounds } from './sample-result.ts'

const bar: Bar = {
  bar: 'CPU ≤ 0.70 × HAProxy',
  scenario: 'bulk',
  cases: ['1 flow down'],
  metric: 'cpu_s_per_gb',
  contender: 'adaptive',
  against: { each: ['haproxy-splice'] },
  atMost: 0.7,
}

describe('a verdict', () => {
  it('is the median of the ratios round by round', () => {
    const row = (name: string, values: readonly number[]) =>
      rowsOf(
        'bulk',
        '1 flow down',
        name,
        values.map((value) => ({ cpu_s_per_gb: value })),
      )
    // The machine was slow in the first three rounds: the medians alone (2 and 2.5) would pass.
    const mine = row('adaptive', [8, 8, 8, 2, 2, 2, 2])
    const other = row('haproxy-splice', [10, 10, 10, 2.5, 2.5, 2.5, 2.5])
    const [verdict] = judgeAll([bar], ['bulk'], [...mine, ...other])
    assert.equal(verdict?.ratio, 0.8)
    assert.equal(verdict?.passed, false)
    const [first, second] = [mine[0], other[0]]
    assert.ok(first !== undefined && second !== undefined)
    assert.deepEqual(ratiosOf(first, second), [0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8])
  })

  it('passes at its limit, to which tolerance is added for rates and p99 alone', () => {
    assert.deepEqual(
      (['gbit_s', 'connections_s', 'round_trips_s', 'p99_us', 'cpu_s_per_gb', 'cpu_us_per_round_trip'] as const).map(
        toleranceOf,
      ),
      [0.05, 0.05, 0.05, 0.05, 0, 0],
    )
    const speed: Bar = { ...bar, metric: 'gbit_s', atLeast: 1 }
    const { atMost, ...rate } = speed
    assert.equal(atMost, 0.7)
    const rows = (gbit: number) => [
      ...rowsOf('bulk', '1 flow down', 'adaptive', rounds({ gbit_s: gbit })),
      ...rowsOf('bulk', '1 flow down', 'haproxy-splice', rounds({ gbit_s: 10 })),
    ]
    assert.equal(judgeAll([rate], ['bulk'], rows(9.6))[0]?.passed, true)
    assert.equal(judgeAll([rate], ['bulk'], rows(9.4))[0]?.passed, false)
  })

  it('is not given for fewer than seven rounds, nor without figures to compare', () => {
    const few = judgeAll([bar], ['bulk'], bulkRows('1 flow down', 6))[0]
    assert.equal(few?.passed, undefined)
    assert.match(few?.reason ?? '', /too few rounds: 6/)
    const alone = bulkRows().filter(({ contender }) => contender !== 'haproxy-splice')
    assert.match(judgeAll([bar], ['bulk'], alone)[0]?.reason ?? '', /no figures of haproxy-splice/)
    const others = bulkRows().filter(({ contender }) => contender !== 'adaptive')
    assert.match(judgeAll([bar], ['bulk'], others)[0]?.reason ?? '', /no figures of adaptive/)
    assert.deepEqual(judgeAll([bar], ['echo'], bulkRows()), [])
  })

  it('takes the best of those that ran, and names those that did not', () => {
    const best: Bar = { ...bar, contender: 'millrace-plain', against: { best: ['frp-plain', 'rathole', 'bore'] } }
    const [verdict] = judgeAll([best], ['bulk'], bulkRows())
    assert.equal(verdict?.against, 'bore (best of frp-plain, bore; without rathole)')
    assert.equal(verdict?.ratio, 0.5)
    assert.equal(verdict?.passed, true)
    const none = judgeAll([{ ...best, against: { best: ['rathole'] } }], ['bulk'], bulkRows())
    assert.match(none[0]?.reason ?? '', /no figures of best of rathole/)
  })

  it('compares two cases of one contender, and figures with a fixed limit', () => {
    const p99 = (name: string, value: number) => rowsOf('mixed', name, 'adaptive', rounds({ p99_us: value }))
    const rows = [...p99('pings alone', 100), ...p99('beside bulk at 2 Gbit/s', 190)]
    const verdicts = judgeAll(bars, ['mixed'], rows).filter(({ passed }) => passed !== undefined)
    assert.deepEqual(
      verdicts.map(({ against, ratio, passed }) => [against, ratio, passed]),
      [['case pings alone', 1.9, true]],
    )
    const idle = rowsOf('idle', '9000 joins', 'adaptive', rounds({ rss_kib_per_join: 2.5, pipes: 0 }, 3))
    const judged = judgeAll(bars, ['idle'], idle).filter(({ passed }) => passed !== undefined)
    assert.deepEqual(
      judged.map(({ metric, passed }) => [metric, passed]),
      [
        ['rss_kib_per_join', false],
        ['pipes', true],
      ],
    )
  })

  it('is a line for people', () => {
    const lines = judgeAll(bars, ['bulk'], bulkRows()).map(verdictLine)
    assert.match(
      lines[0] ?? '',
      /^passed {5}bulk, CPU per GB ≤ 0\.70 × HAProxy splice-auto: 1 flow down, adaptive against haproxy-splice: 0\.56\d, ≤ 0\.700$/,
    )
    assert.match(lines.find((line) => line.startsWith('not judged')) ?? '', /\(no figures of /)
  })
})

describe('the bars', () => {
  it('name scenarios, contenders and metrics that there are', () => {
    // Contenders that come from elsewhere are known by their programs, found or not.
    const known = new Set(contenders.map(({ name }) => name))
    for (const each of bars) {
      assert.ok(
        scenarios.some(({ name }) => name === each.scenario),
        each.scenario,
      )
      assert.ok(each.metric in units, each.metric)
      assert.equal((each.atMost === undefined) !== (each.atLeast === undefined), true, each.bar)
      const { against } = each
      const others =
        against === 'absolute' || 'otherCase' in against ? [] : 'each' in against ? against.each : against.best
      for (const name of [each.contender, ...others]) assert.ok(known.has(name), `${each.bar}: ${name}`)
    }
  })
})
