/** The packages of bench/package.json, installed when a command first needs one of them. */
import { execFileSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const folder = fileURLToPath(new URL('..', import.meta.url))
const installed = join(folder, 'node_modules/.package-lock.json')
const lock = join(folder, 'package-lock.json')

/** Installs what bench/package-lock.json names unless it is there. Throws when npm fails. */
export function installTools(): void {
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  process.stdout.write('bench: installing its tools (npm ci in bench/, about 700 packages)\n')
  // No tool needs its scripts.
  execFileSync('npm', ['ci', '--ignore-scripts', '--loglevel=error'], { cwd: folder, stdio: 'inherit' })
}

/** A module of bench/node_modules; whoever asks knows its shape. */
export async function importTool(name: string): Promise<unknown> {
  installTools()
  const module: unknown = await import(pathToFileURL(createRequire(join(folder, 'package.json')).resolve(name)).href)
  return module
}

/** The path of a program of bench/node_modules. */
export function toolProgram(name: string): string {
  installTools()
  return join(folder, 'node_modules/.bin', name)
}
