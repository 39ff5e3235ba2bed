/** Builds the native data plane (build/Release/millrace.node) with node-gyp, when its sources have changed. */
import { copyFileSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { Failure, findProgram, hashOf, listFiles, readStamp, root, run, say } from './project.mjs'

const binary = 'build/Release/millrace.node'
const stampFile = 'build/Release/.stamp'

/**
 * @typedef {object} AddonResult
 * @property {'built' | 'up-to-date' | 'absent' | 'failed'} state `absent`: this machine can't build it
 * @property {string} detail one line, or the compiler's output
 */

/** @returns {Promise<AddonResult>} never rejects for what the machine lacks or the compiler says */
export async function buildAddon() {
  if (process.platform !== 'linux')
    return { state: 'absent', detail: `the native engine needs Linux, not ${process.platform}` }
  const inputs = ['binding.gyp', ...listFiles('native/engine'), ...listFiles('native/addon')]
  const stamp = hashOf([...inputs, 'node_modules/node-api-headers/package.json'], [process.arch])
  if (readStamp(stampFile) === stamp && existsSync(join(root, binary))) {
    return { state: 'up-to-date', detail: `${binary} is up to date` }
  }
  const compiler = findProgram([process.env['CXX'], 'c++', 'g++', 'clang++'])
  const missing = [
    ...(compiler === undefined ? ['a C++ compiler (CXX, c++, g++, clang++)'] : []),
    ...(findProgram([process.env['MAKE'], 'make']) === undefined ? ['make'] : []),
    ...((await python()) ? [] : ['python3']),
  ]
  // A binary of other sources would pass for this one.
  rmSync(join(root, stampFile), { force: true })
  rmSync(join(root, binary), { force: true })
  if (missing.length > 0) return { state: 'absent', detail: `not built, missing on PATH: ${missing.join(', ')}` }

  say('build: native addon')
  const nodeGyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js')
  const args = ['configure', 'build', '--release', `--jobs=${availableParallelism()}`, `--nodedir=${nodeHeaders()}`]
  const env = { ...process.env, CXX: compiler }
  const { code, output } = await run(process.execPath, [nodeGyp, ...args], { capture: true, env })
  if (code !== 0 || !existsSync(join(root, binary))) return { state: 'failed', detail: `the build failed:\n${output}` }
  writeFileSync(join(root, stampFile), stamp)
  return { state: 'built', detail: `built ${binary} with ${compiler}` }
}

/**
 * Says what came of it where the addon is wanted but not required. `millrace doctor` names the costs in detail.
 * @param {AddonResult} result
 */
export function reportAddon({ state, detail }) {
  if (state === 'absent') {
    say(`addon: ${detail}. Node streams will move the bytes instead: same behaviour, two to four times the CPU.`)
  }
  if (state !== 'failed') return
  if (process.env['CI'] === 'true') throw new Failure(`addon: ${detail}`)
  say(`addon: ${detail}\naddon: warning: the native engine did not compile; Node streams will move the bytes instead.`)
}

/** Whether a Python for node-gyp runs. The programs of version managers exist on PATH without running. */
async function python() {
  const program = findProgram([process.env['PYTHON'], 'python3', 'python'])
  return program !== undefined && (await run(program, ['--version'], { capture: true })).code === 0
}

/**
 * A folder with `include/node` in it, as node-gyp wants one: the user's, the running Node's, or one made of the
 * package node-api-headers. So that node-gyp never downloads any.
 */
function nodeHeaders() {
  const given = process.env['npm_config_nodedir']
  if (given !== undefined && given !== '') return given
  const beside = resolve(dirname(process.execPath), '..')
  if (['node_api.h', 'common.gypi', 'config.gypi'].every((file) => existsSync(join(beside, 'include/node', file)))) {
    return beside
  }
  const made = join(root, '.cache/headers')
  const include = join(made, 'include/node')
  mkdirSync(include, { recursive: true })
  cpSync(join(root, 'node_modules/node-api-headers/include'), include, { recursive: true })
  copyFileSync(join(root, 'scripts/lib/common.gypi'), join(include, 'common.gypi'))
  writeFileSync(join(include, 'config.gypi'), JSON.stringify(process.config))
  return made
}
