/** Run by lifecycle.test.ts: the main thread never touches the data plane; threads come, one after the other, and go. */
import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { runThread, startThread } from './thread.ts'

/** The engine's threads in this process. */
function workers(): number {
  return readdirSync('/proc/self/task').filter((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8') === 'millrace\n'
    } catch {
      return false // ended meanwhile
    }
  }).length
}

for (let round = 0; round < 3; round++) {
  if (round === 1) {
    const thread = startThread('traffic')
    await once(thread, 'message')
    assert.equal(workers(), Number(process.env['MILLRACE_WORKERS']))
    await thread.terminate()
  } else {
    assert.deepEqual(await runThread(), { whole: true, reason: 'eof', bytes: 2 << 20 })
  }
  assert.equal(workers(), 0)
}
