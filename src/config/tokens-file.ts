import { readFile } from 'node:fs/promises'
import { MillraceError } from '../errors.ts'
import type { TokenEntry } from './relay-settings.ts'

/** What a tokens file said. */
export interface TokensFile {
  /** The text that was read; undefined = there is no file. */
  readonly text: string | undefined
  readonly entries: readonly TokenEntry[]
}

/**
 * Reads the tokens file: YAML with `tokens:` as in the relay's config. A file that isn't there has none. Rejects with
 * ERR_CONFIG, which says where the fault is. `before` is what was read last time: the same text isn't parsed again.
 */
export async function readTokensFile(file: string, before?: TokensFile): Promise<TokensFile> {
  const text = await readIfThere(file)
  if (before !== undefined && text === before.text) return before
  if (text === undefined) return { text, entries: [] }
  // Loaded only when there is something to read: they take longer than the rest of the start.
  const [{ parseConfig }, { tokensFileSchema }, { tokenEntries }] = await Promise.all([
    import('./load.ts'),
    import('./token-schema.ts'),
    import('./token-entries.ts'),
  ])
  return { text, entries: tokenEntries(parseConfig(text, file, tokensFileSchema).tokens ?? []) }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    const why = error instanceof Error ? error.message : String(error)
    throw new MillraceError('ERR_CONFIG', `the tokens file cannot be read: ${why}`, { cause: error })
  }
}
