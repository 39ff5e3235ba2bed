/** `npm test`: from nothing to everything checked. */
import { parseArgs } from 'node:util'
import { buildAddon, reportAddon } from './lib/addon.mjs'
import { describeDataPlane } from './lib/doctor.mjs'
import { installDependencies } from './lib/install.mjs'
import { npm } from './lib/npm.mjs'
import { listFiles, main, say } from './lib/project.mjs'
import { runTests } from './lib/run-tests.mjs'
import { buildTypeScript } from './lib/typescript.mjs'

const usage = `usage: npm test [-- WORD…]

Installs and builds what is missing, then lints, checks the types and runs all tests; the join contract a second time
with three workers. With words: only the test files whose path holds one of them, and no linting.

MILLRACE_DATAPLANE=stream leaves the native data plane out. MILLRACE_WORKERS sets the workers of a single run.
MILLRACE_TEST_CONCURRENCY sets how many files run at once (default: processors, at most 4).`

/** @typedef {{ name: string, passed: boolean, words: string }} Step */

main(async () => {
  const { values, positionals } = parseArgs({
    options: { help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  })
  if (values.help) {
    say(usage)
    return 0
  }
  const started = process.hrtime.bigint()
  await installDependencies()
  await buildTypeScript()
  reportAddon(await buildAddon())
  const dataPlane = await describeDataPlane()
  say(`data plane: ${dataPlane.text}`)

  /** @type {Step[]} */
  const steps = []
  if (positionals.length === 0) {
    steps.push(await script('lint'))
    steps.push(await script('typecheck'))
  }
  steps.push(...(await allTests(positionals, dataPlane.kind === 'native')))

  say('\n== summary')
  for (const { name, passed, words } of steps) say(`${passed ? 'passed' : 'FAILED'}  ${name}${words}`)
  say(`data plane: ${dataPlane.text}`)
  const failed = steps.some(({ passed }) => !passed)
  const seconds = Math.round(Number(process.hrtime.bigint() - started) / 1e9)
  say(`${failed ? 'npm test failed' : 'npm test passed'} in ${seconds} s (node ${process.version})`)
  return failed ? 1 : 0
})

/**
 * @param {string} name of a script in package.json
 * @returns {Promise<Step>}
 */
async function script(name) {
  say(`\n== ${name}`)
  const { code } = await npm(['run', '--silent', name])
  return { name, passed: code === 0, words: '' }
}

/**
 * @param {readonly string[]} words
 * @param {boolean} native
 * @returns {Promise<Step[]>}
 */
async function allTests(words, native) {
  const files = listFiles('test', (path) => path.endsWith('.test.ts')).filter(
    (path) => words.length === 0 || words.some((word) => path.includes(word)),
  )
  if (files.length === 0) return [{ name: 'tests', passed: false, words: `: no test file has ${words.join(' or ')}` }]
  const given = process.env['MILLRACE_WORKERS']
  if (given !== undefined) return [await runTests(files, `tests, ${given} workers`, {})]
  const steps = [await runTests(files, 'tests, 1 worker', { MILLRACE_WORKERS: '1' })]
  const contract = files.filter((path) => path.startsWith('test/contract/'))
  if (!native || contract.length === 0) return steps
  const again = { MILLRACE_WORKERS: '3', MILLRACE_CONTRACT_ONLY: 'native,copy,splice' }
  return [...steps, await runTests(contract, 'join contract, 3 workers', again)]
}
