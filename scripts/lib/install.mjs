/** Installs the dependencies when they are missing or older than the lock file. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { npm } from './npm.mjs'
import { Failure, root, say } from './project.mjs'

/** npm writes this file last, so its time says when the installation was complete. */
const installed = join(root, 'node_modules/.package-lock.json')
const lock = join(root, 'package-lock.json')
const reasonLines = 20

/** @returns {Promise<void>} rejects with a Failure when npm fails */
export async function installDependencies() {
  const hasLock = existsSync(lock)
  if (existsSync(installed) && (!hasLock || statSync(installed).mtimeMs >= statSync(lock).mtimeMs)) return
  const command = hasLock ? 'ci' : 'install'
  say(`setup: installing dependencies (npm ${command})`)
  // No package of ours needs its scripts. Under NODE_ENV=production npm would leave out the compiler.
  const { code, output } = await npm([command, '--ignore-scripts', '--include=dev', '--loglevel=error'], {
    capture: true,
  })
  if (code === 0) return
  // npm's usage follows its reason, and it is long.
  const reason = output.split('\n').slice(0, reasonLines).join('\n')
  throw new Failure(`setup: npm ${command} failed (exit code ${code}):\n${reason}`)
}
