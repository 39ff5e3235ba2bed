import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Refusals } from '../../src/observe/refusals.ts'
import { LogTap } from '../relay/log-tap.ts'

/** Refusals with a clock of their own. */
function make(): { readonly tap: LogTap; readonly refusals: Refusals; readonly at: (ms: number) => void } {
  const tap = new LogTap()
  let now = 0
  const refusals = new Refusals(tap.log, () => now)
  return {
    tap,
    refusals,
    at: (ms) => {
      now = ms
    },
  }
}

const refusal = { event: 'visitor.refused', level: 'warn', code: 'ERR_RELAY_FULL', fields: { remote: 'x' } } as const

describe('Refusals', () => {
  it('counts each, by code, under the name of its metric', () => {
    const { refusals } = make()
    for (let i = 0; i < 3; i++) refusals.tell(refusal)
    refusals.count('ERR_AUTH_TOKEN')
    assert.deepEqual(refusals.metrics, {
      'millrace_refusals_total{code="ERR_RELAY_FULL"}': 3,
      'millrace_refusals_total{code="ERR_AUTH_TOKEN"}': 1,
    })
  })

  it('logs one line a second of each kind; the next one says how many were left out', () => {
    const { at, refusals, tap } = make()
    for (let ms = 0; ms < 1000; ms++) {
      at(ms)
      refusals.tell(refusal)
    }
    refusals.tell({ ...refusal, code: 'ERR_JOIN_LIMIT' })
    refusals.tell({ ...refusal, event: 'http.refused' })
    refusals.tell({ ...refusal, subject: 'laptop' })
    assert.equal(tap.lines.length, 4)
    at(1000)
    refusals.tell(refusal)
    assert.equal(tap.lines.length, 5)
    const { code, event, left_out: leftOut, level, remote } = tap.lines[4] ?? {}
    assert.deepEqual(
      { code, event, leftOut, level, remote },
      { code: 'ERR_RELAY_FULL', event: 'visitor.refused', leftOut: 999, level: 'warn', remote: 'x' },
    )
  })

  it('tells of what was left out also when nothing follows, and forgets it', () => {
    const { at, refusals, tap } = make()
    for (let i = 0; i < 5; i++) refusals.tell(refusal)
    at(500)
    refusals.tick()
    assert.equal(tap.lines.length, 1)
    at(1000)
    refusals.tick()
    const { of, code, left_out: leftOut } = tap.all('refusals.more')[0] ?? {}
    assert.deepEqual({ of, code, leftOut }, { of: 'visitor.refused', code: 'ERR_RELAY_FULL', leftOut: 4 })
    at(2000)
    refusals.tick()
    assert.equal(tap.lines.length, 2)
  })
})
