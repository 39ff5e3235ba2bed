import assert from 'node:assert/strict'
import { it } from 'node:test'
import { describeStorm, storm } from './storm/storm.ts'

it('a hundred agents that lose their relay at once come back, and not all in the same second', async (t) => {
  const seen = await storm(t, 100, 60_000)
  for (const line of describeStorm(seen)) t.diagnostic(line)
  const most = Math.max(...seen.laterDials)
  assert(most <= 0.6 * seen.count, `${most} attempts in one second`)
})
