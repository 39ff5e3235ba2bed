import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { type Addon, isAddon } from './addon.ts'

/** One place where the addon was looked for, and what was found there. */
export interface LoadAttempt {
  readonly path: string
  readonly reason: string
}

/**
 * Whether the native data plane can run in this process. `absent`: no binary for this platform, which is no fault.
 * `broken`: a binary is there and doesn't load.
 */
export type LoadResult =
  | { readonly state: 'loaded'; readonly addon: Addon; readonly path: string }
  | { readonly state: 'absent'; readonly tried: readonly LoadAttempt[] }
  | { readonly state: 'broken'; readonly tried: readonly LoadAttempt[] }

let result: LoadResult | undefined

/** Loads the addon: the checkout's own build first, then the prebuilt one for this platform. Looks only once. */
export function loadAddon(): LoadResult {
  result ??= load([
    fileURLToPath(new URL('../../../build/Release/millrace.node', import.meta.url)),
    fileURLToPath(new URL(`../../../prebuilds/${process.platform}-${process.arch}/millrace.node`, import.meta.url)),
  ])
  return result
}

/** Tries the paths in their order; the first that loads wins. */
export function load(paths: readonly string[]): LoadResult {
  const require = createRequire(import.meta.url)
  const tried: LoadAttempt[] = []
  let broken = false
  for (const path of paths) {
    if (!existsSync(path)) {
      tried.push({ path, reason: 'there is no such file' })
      continue
    }
    try {
      const addon: unknown = require(path)
      if (isAddon(addon)) return { state: 'loaded', addon, path }
      tried.push({ path, reason: 'it is not the millrace addon' })
    } catch (error) {
      tried.push({ path, reason: error instanceof Error ? error.message : String(error) })
    }
    broken = true
  }
  return { state: broken ? 'broken' : 'absent', tried }
}

/** The attempts as text, one a line. */
export function describeAttempts(tried: readonly LoadAttempt[]): string {
  return tried.map(({ path, reason }) => `  ${path}: ${reason}`).join('\n')
}
