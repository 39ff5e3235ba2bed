import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { trendOf } from './trend.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('a soak of twenty seconds', async (t) => {
  const args = ['scripts/soak.mjs', '--minutes', '0.33']
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '' }
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  // It ends its own children then.
  t.after(() => child.kill('SIGTERM'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const code = await new Promise((resolve) => child.on('close', resolve))
  assert.equal(code, 0, output)
  assert.match(output, /^soak: passed$/m)
})

/** 120 samples, one every 5 s. */
function course(valueAt: (sample: number) => number): readonly { at: number; value: number }[] {
  return Array.from({ length: 120 }, (_, index) => ({ at: index * 5_000, value: valueAt(index) }))
}

test('the trend of a soak sees what grows, and not what was warming up or wavers', () => {
  const bound = { from: 1 / 3, least: 10, share: 0.04 }
  const waver = (index: number): number => 200 + 8 * Math.sin(index) + (index < 40 ? index - 40 : 0)
  const still = trendOf(course(waver), bound)
  assert.ok(Math.abs(still.growth) < 2, String(still.growth))
  const leak = trendOf(
    course((index) => waver(index) + index / 4),
    bound,
  )
  assert.ok(leak.growth > leak.allowed, `${leak.growth} of ${leak.allowed}`)
  assert.deepEqual(trendOf([], bound).growth, 0)
})
