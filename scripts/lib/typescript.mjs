/** Compiles src/ to dist/, when it has changed. */
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, hashOf, listFiles, readStamp, root, run, say } from './project.mjs'

// Not in dist/, all of which ships.
const stampFile = '.cache/typescript.stamp'
const cli = 'dist/cli/main.js'

/** @returns {Promise<void>} rejects with a Failure on errors in the types */
export async function buildTypeScript() {
  const sources = listFiles('src')
  const inputs = [...sources, 'tsconfig.json', 'tsconfig.build.json', 'node_modules/typescript/package.json']
  const stamp = hashOf(inputs)
  if (readStamp(stampFile) === stamp && existsSync(join(root, cli))) return
  say('build: TypeScript')
  // Until it has passed, no stamp: an interrupted build is done again.
  rmSync(join(root, stampFile), { force: true })
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { code, output } = await run(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { capture: true })
  if (code !== 0) throw new Failure(`build: TypeScript failed:\n${output}`)
  removeOrphans(sources)
  chmodSync(join(root, cli), 0o755)
  mkdirSync(join(root, '.cache'), { recursive: true })
  writeFileSync(join(root, stampFile), stamp)
}

/**
 * Removes compiled files whose source is gone; otherwise they would ship, and old imports would go on working.
 * @param {readonly string[]} sources
 */
function removeOrphans(sources) {
  const modules = new Set(sources.map((path) => path.replace(/^src/, 'dist').replace(/\.ts$/, '')))
  const compiled = listFiles('dist', (path) => /\.(js|d\.ts|js\.map)$/.test(path) && !path.startsWith('dist/web/'))
  for (const path of compiled) {
    if (!modules.has(path.replace(/\.(js|d\.ts|js\.map)$/, ''))) rmSync(join(root, path))
  }
}
