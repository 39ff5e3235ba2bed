/** Runs npm: the one that runs us, if any. */
import { run } from './project.mjs'

/**
 * @param {readonly string[]} args
 * @param {{ capture?: boolean }} [options]
 */
export function npm(args, options) {
  const script = process.env['npm_execpath']
  if (script?.endsWith('.js')) return run(process.execPath, [script, ...args], options)
  return run('npm', args, options)
}
