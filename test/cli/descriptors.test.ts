import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { checkDescriptors, descriptorsNeeded } from '../../src/cli/descriptors.ts'
import { defaultLimits } from '../../src/limits/relay.ts'
import { RecordingLogger } from '../agent/events.ts'
import { Millrace } from '../e2e/process.ts'
import { scratch } from '../e2e/stage.ts'
import { missing, without } from '../tls/support/programs.ts'

describe('the descriptors that a relay needs', () => {
  const chosen = { ...defaultLimits, joins: 5_000 }

  it('must be there for limits that were chosen', () => {
    const log = new RecordingLogger()
    checkDescriptors(chosen, log, descriptorsNeeded(chosen))
    assert.throws(() => checkDescriptors(chosen, log, descriptorsNeeded(chosen) - 200), {
      code: 'ERR_DESCRIPTORS',
      message: /limits\.joins = 5000 take .* room for 4900 visitors \(ulimit -n, LimitNOFILE=\)$/,
    })
    const agents = { ...defaultLimits, sessions: 30_000, pendingVisitors: 2_000 }
    assert.throws(() => checkDescriptors(agents, log, 20_000), {
      code: 'ERR_DESCRIPTORS',
      message: /limits\.sessions = 30000 and limits\.pending_visitors = 2000 take 34128 descriptors/,
    })
    assert.deepEqual(log.lines, [])
  })

  it('need not be there for the default limits: it warns of how many visitors there is room for', () => {
    const log = new RecordingLogger()
    for (const openFiles of [20_000, 4_096, 1_024]) checkDescriptors(defaultLimits, log, openFiles)
    // Fewer agents than by default ask for nothing.
    checkDescriptors({ ...defaultLimits, sessions: 10 }, log, 4_096)
    assert.equal(log.of('relay.descriptors').length, 4)
    checkDescriptors(defaultLimits, log, Number.POSITIVE_INFINITY)
    assert.equal(log.lines.length, 4)
  })

  const skip = without(missing('prlimit', ['--version']))

  it('are as many as the hard limit allows, whatever the soft one is', { skip }, async (t) => {
    const flags = ['--tunnel-addr', '127.0.0.1:0', '--open', '--state-dir', await scratch(t), '--log-format', 'json']
    const relay = new Millrace(t, ['relay', ...flags], {}, { through: ['prlimit', '--nofile=1024:4096'] })
    await relay.line('relay.started')
    assert.equal((await relay.line('relay.descriptors'))['openFiles'], 4_096)
    const limits = spawnSync('prlimit', ['--nofile', '--noheadings', '-o', 'SOFT,HARD', '-p', `${relay.pid}`])
    assert.deepEqual(String(limits.stdout).trim().split(/\s+/), ['4096', '4096'])
    relay.kill('SIGTERM')
    assert.equal(await relay.exit(), 0)
  })
})
