import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { median, rowsOf } from '../../bench/lib/summary.ts'

describe('the figures of several rounds', () => {
  it('have the median of an odd and of an even number', () => {
    assert.equal(median([3, 1, 2]), 2)
    assert.equal(median([4, 1, 2, 3]), 2.5)
    assert.ok(Number.isNaN(median([])))
  })

  it('become a row for each metric, with the rounds in their order', () => {
    const rows = rowsOf('bulk', '1 flow', 'copy', [{ gbit_s: 3, cpu_s_per_gb: 1 }, { gbit_s: 1 }, { gbit_s: 2 }])
    assert.deepEqual(
      rows.map(({ metric, median: middle, min, max, runs, values }) => ({ metric, middle, min, max, runs, values })),
      [
        { metric: 'cpu_s_per_gb', middle: 1, min: 1, max: 1, runs: 1, values: [1] },
        { metric: 'gbit_s', middle: 2, min: 1, max: 3, runs: 3, values: [3, 1, 2] },
      ],
    )
    assert.equal(rows[0]?.unit, 's/GB')
  })
})
