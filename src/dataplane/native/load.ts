import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Addon, isAddon } from './addon.ts'
import { truncation } from './truncation.ts'

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
  const tried: LoadAttempt[] = []
  let broken = false
  for (const path of paths) {
    if (!existsSync(path)) {
      tried.push({ path, reason: 'there is no such file' })
      continue
    }
    broken = true
    try {
      const damage = truncation(path)
      if (damage !== undefined) {
        tried.push({ path, reason: damage })
        continue
      }
      // Not require(), whose cache is the thread's: each copy of this module must have an addon of its own to attach.
      const module: { exports: unknown } = { exports: {} }
      process.dlopen(module, path)
      const addon = module.exports
      if (isAddon(addon)) return { state: 'loaded', addon, path }
      tried.push({ path, reason: 'it is not the millrace addon of this version' })
    } catch (error) {
      tried.push({ path, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  return { state: broken ? 'broken' : 'absent', tried }
}

/** The attempts as text, one a line. */
export function describeAttempts(tried: readonly LoadAttempt[]): string {
  return tried.map(({ path, reason }) => `  ${path}: ${reason}`).join('\n')
}
