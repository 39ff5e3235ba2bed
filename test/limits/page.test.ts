import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { limitsPage } from '../../scripts/limits-page.ts'

it('docs/limits.md is what `npm run docs:limits` makes of the tables', () => {
  const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8')
  assert.equal(page, limitsPage(), 'it is stale: npm run docs:limits')
})
