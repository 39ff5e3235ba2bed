/** One run of node's test runner over some files. */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { root, say } from './project.mjs'

/** Limit for one file: far above what any takes, so that only a hang meets it. */
const fileLimitMs = 300_000

/**
 * @param {readonly string[]} files
 * @param {string} name
 * @param {Readonly<Record<string, string>>} variables added to the environment
 * @returns {Promise<{ name: string, passed: boolean, words: string }>} `words` has the counts
 */
export async function runTests(files, name, variables) {
  say(`\n== ${name}`)
  const child = spawn(process.execPath, [...runnerOptions(), ...files], {
    cwd: root,
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  /** @type {Map<string, string>} */
  const totals = new Map()
  createInterface({ input: child.stdout }).on('line', (line) => {
    say(line)
    const [, total, count] = /^# (tests|pass|fail|cancelled|skipped) (\d+)$/.exec(line) ?? []
    if (total !== undefined && count !== undefined) totals.set(total, count)
  })
  /** @type {number | null} */
  const code = await new Promise((resolve) => child.on('close', resolve))
  const counts = ['tests', 'pass', 'fail', 'cancelled', 'skipped'].map(
    (total) => `${total} ${totals.get(total) ?? '?'}`,
  )
  return { name, passed: code === 0 && totals.get('fail') === '0', words: `: ${counts.join(', ')}` }
}

function runnerOptions() {
  const concurrency = process.env['MILLRACE_TEST_CONCURRENCY'] ?? Math.min(4, availableParallelism())
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  // Node 20.0 to 20.10 have neither flag.
  const limits = major > 20 || minor >= 11 ? [`--test-concurrency=${concurrency}`, `--test-timeout=${fileLimitMs}`] : []
  const reporter = ['--test-reporter=./scripts/lib/test-reporter.mjs', '--test-reporter-destination=stdout']
  return ['--import', 'tsx', '--test', ...limits, ...reporter]
}
