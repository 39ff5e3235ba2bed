/** `npm run soak:storm`: a thousand agents lose their relay at once. About a minute. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { describeStorm, storm } from '../e2e/storm/storm.ts'

it('a thousand agents that lose their relay at once come back without a thundering herd', async (t) => {
  const seen = await storm(t, 1_000, 60_000)
  for (const line of describeStorm(seen)) t.diagnostic(line)
  assert(seen.recoveredMs <= 60_000)
  const most = Math.max(...seen.laterDials)
  assert(most <= 0.5 * seen.count, `${most} attempts in one second`)
})
