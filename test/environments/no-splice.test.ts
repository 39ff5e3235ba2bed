import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { skip as noAddon, root } from '../dataplane/native/plane.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-seccomp-'))
after(() => rmSync(folder, { recursive: true }))
const filter = join(folder, 'refuse-splice')
const skip = noAddon === false ? (build() ?? tryOut()) : noAddon
const program = fileURLToPath(new URL('no-splice.mjs', import.meta.url))
const modes = ['native', 'splice'] as const

for (const name of ['ENOSYS', 'EPERM', 'EINVAL'] as const) {
  for (const mode of modes) {
    test(`pitfall 4: ${name} of every splice: the probe sees it, and ${mode} joins copy`, { skip }, () => {
      const seen: unknown = JSON.parse(run(constants.errno[name], 0, mode, [program]))
      const paths = ['copy', 'copy', 'copy', 'copy']
      assert.deepEqual(seen, { spliced: [0, 0], paths, fallbacks: { 'refused-at-start': 1 }, pipes: 0 })
    })

    test(`pitfall 4: ${name} of splices that the probe does not make: ${mode} joins copy`, { skip }, () => {
      const seen: unknown = JSON.parse(run(constants.errno[name], 2, mode, [program]))
      assert.ok(typeof seen === 'object' && seen !== null && 'fallbacks' in seen && 'pipes' in seen)
      const { fallbacks, ...rest } = seen
      assert.deepEqual({ ...rest, pipes: 0 }, { spliced: [0, 0], paths: ['copy', 'copy', 'copy', 'copy'], pipes: 0 })
      // One for each direction: it does not try again.
      assert.deepEqual(fallbacks, { unsupported: 4 })
    })
  }
}

test('pitfall 4: millrace doctor names a system without splice, and what that costs', { skip }, () => {
  const cli = [join(root, 'dist/cli/main.js'), 'doctor']
  assert.match(run(constants.errno.EPERM, 0, 'native', cli), /^cost +splice +not always: refused-at-start; copies/m)
  const report: unknown = JSON.parse(run(constants.errno.EPERM, 0, 'native', [...cli, '--json']))
  assert.ok(typeof report === 'object' && report !== null && 'splices' in report && 'kind' in report)
  assert.deepEqual([report.kind, report.splices], ['native', false])
})

/** Runs Node without splice of so many bytes or more; returns what it wrote. */
function run(errno: number, least: number, mode: string, args: readonly string[]): string {
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '', MILLRACE_DATAPLANE: mode }
  const words = [String(errno), String(least), process.execPath, ...args]
  const { status, signal, stdout, stderr } = spawnSync(filter, words, { env, encoding: 'utf8', timeout: 60_000 })
  assert.deepEqual([status, signal, stderr], [0, null, ''])
  return stdout
}

/** Builds the program that installs the filter; returns why it can't be had. */
function build(): string | undefined {
  const compiler = [process.env['CXX'] ?? '', 'c++', 'g++', 'clang++']
    .flatMap((name) =>
      (process.env['PATH'] ?? '').split(delimiter).map((path) => (name === '' ? '' : join(path, name))),
    )
    .find((path) => path !== '' && existsSync(path))
  if (compiler === undefined) return missing('no C++ compiler is on PATH')
  const source = fileURLToPath(new URL('refuse-splice.cc', import.meta.url))
  const { status, stderr } = spawnSync(compiler, ['-O1', '-o', filter, source], { encoding: 'utf8' })
  return status === 0 ? undefined : missing(`refuse-splice.cc does not compile: ${stderr}`)
}

/** Why filters can't be installed here, as inside some containers; false where they can. */
function tryOut(): string | false {
  const { status, stderr } = spawnSync(filter, ['1', '0', process.execPath, '-e', ''], { encoding: 'utf8' })
  return status === 0 ? false : missing(stderr.trim())
}

/** Where everything must run, nothing may be missing. */
function missing(reason: string): string {
  assert.notEqual(process.env['CI'], 'true', reason)
  return reason
}
