import { MillraceError } from '../errors.ts'
import type { DataPlaneMode } from './types.ts'

const modes: readonly DataPlaneMode[] = ['native', 'copy', 'splice', 'stream']

/**
 * The data-plane mode that the user asked for in `MILLRACE_DATAPLANE`; `native` when it is unset or empty.
 * Throws ERR_DATAPLANE_MODE for any other word.
 */
export function readMode(environment: Readonly<Record<string, string | undefined>> = process.env): DataPlaneMode {
  const word = environment['MILLRACE_DATAPLANE']
  if (word === undefined || word === '') return 'native'
  const mode = modes.find((known) => known === word)
  if (mode === undefined) throw new MillraceError('ERR_DATAPLANE_MODE', JSON.stringify(word.slice(0, 64)))
  return mode
}
