import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { contestants, missing, named } from './harness/contestants.ts'

for (const { label, reason } of missing) {
  test(`contract/0 ${label} takes part`, (t) => {
    assert.ok(!named, `MILLRACE_CONTRACT_ONLY names it, but ${reason}`)
    t.skip(`the contract is not run over ${label}: ${reason}`)
  })
}

for (const { label, mode, plane } of contestants) {
  test(`contract/0 ${label} is what it says`, () => {
    if (plane === undefined) return
    assert.equal(plane.mode, mode)
    const stats = plane.stats()
    assert.equal(stats.kind, plane.kind)
    assert.equal(stats.mode, mode)
    assert.ok(plane.kind === 'native' ? stats.threads >= 1 : stats.threads === 0)
    const asked = process.env['MILLRACE_WORKERS']
    if (plane.kind === 'native' && asked !== undefined) assert.equal(stats.threads, Number(asked))
  })
}
