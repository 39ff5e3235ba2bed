/**
 * What every script needs: where the project is, how to say something, how to run something. Only Node's own modules,
 * as these scripts run before anything is installed.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'

/** The checkout's top folder, absolute, without a slash at its end. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '')

/** The oldest Node major version that is supported. */
const floor = 20

/** What ends a script with one clear sentence instead of a stack trace. */
export class Failure extends Error {}

/**
 * Says one line.
 * @param {string} line
 */
export function say(line) {
  process.stdout.write(`${line}\n`)
}

/**
 * Runs a script's main function: a {@link Failure} becomes one line and exit code 1, anything else keeps its stack.
 * @param {() => Promise<number | undefined>} body resolves with the exit code, default 0
 */
export function main(body) {
  if (Number.parseInt(process.versions.node, 10) < floor) {
    process.stderr.write(`millrace needs Node ${floor} or newer; this is ${process.version} (${process.execPath})\n`)
    process.exitCode = 1
    return
  }
  body().then(
    (code) => {
      process.exitCode = code ?? 0
    },
    (error) => {
      process.stderr.write(`${error instanceof Failure ? error.message : inspect(error)}\n`)
      process.exitCode = 1
    },
  )
}

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()

/** Ends what {@link run} is running. */
export function endRuns() {
  for (const child of running) child.kill('SIGTERM')
}

/**
 * @typedef {object} RunResult
 * @property {number} code the exit code; 128 for a death by a signal
 * @property {string} output stdout and stderr together, empty unless captured
 */

/**
 * Runs a command in the checkout and waits for it.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ capture?: boolean, env?: NodeJS.ProcessEnv }} [options] `capture` keeps the output instead of showing it
 * @returns {Promise<RunResult>} code 127 when there is no such command
 */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: options.env ?? process.env,
      stdio: options.capture ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    })
    running.add(child)
    child.on('close', () => running.delete(child))
    /** @type {Buffer[]} */
    const chunks = []
    child.stdout?.on('data', (chunk) => chunks.push(chunk))
    child.stderr?.on('data', (chunk) => chunks.push(chunk))
    child.on('error', (error) => resolve({ code: 127, output: error.message }))
    child.on('close', (code) => resolve({ code: code ?? 128, output: Buffer.concat(chunks).toString() }))
  })
}

/**
 * The path of the first of these programs that PATH has, or undefined. Absolute names are looked at where they are.
 * @param {readonly (string | undefined)[]} names
 */
export function findProgram(names) {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  for (const name of names) {
    if (name === undefined || name === '') continue
    const candidates = name.includes('/') ? [name] : folders.map((folder) => join(folder, name))
    const found = candidates.find(isExecutable)
    if (found !== undefined) return found
  }
  return undefined
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/**
 * All files under a folder, sorted, as paths relative to the checkout. A folder that isn't there has none.
 * @param {string} folder relative to the checkout
 * @param {(path: string) => boolean} [wanted]
 * @returns {string[]}
 */
export function listFiles(folder, wanted = () => true) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) return listFiles(path, wanted)
      return wanted(path) ? [path] : []
    })
    .sort()
}

/**
 * A hash of files' names and contents and of some words that matter as well. Files that aren't there count as empty.
 * @param {readonly string[]} files relative to the checkout
 * @param {readonly string[]} [words]
 */
export function hashOf(files, words = []) {
  const hash = createHash('sha256')
  for (const word of words) hash.update(`${word}\0`)
  for (const file of files) {
    const path = join(root, file)
    hash.update(`${file}\0`).update(existsSync(path) ? readFileSync(path) : '')
  }
  return hash.digest('hex')
}

/**
 * The text of a stamp file, '' when there is none.
 * @param {string} file relative to the checkout
 */
export function readStamp(file) {
  const path = join(root, file)
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}
