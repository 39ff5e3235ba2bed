import { availableParallelism } from 'node:os'
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

/**
 * How many worker threads the native data plane runs: `MILLRACE_WORKERS`, else one less than the cores, at least one.
 * Throws ERR_WORKERS for anything but a whole number from 1 to 64.
 */
export function readWorkers(environment: Readonly<Record<string, string | undefined>> = process.env): number {
  const word = environment['MILLRACE_WORKERS']
  if (word === undefined || word === '') return Math.min(64, Math.max(1, availableParallelism() - 1))
  const workers = Number(word)
  if (/^\d{1,2}$/.test(word) && workers >= 1 && workers <= 64) return workers
  throw new MillraceError('ERR_WORKERS', JSON.stringify(word.slice(0, 64)))
}

/**
 * Who speaks TLS on the native data plane: `MILLRACE_TLS`, default `native`, the engine's workers; `stream` is Node's
 * `tls`. Throws ERR_DATAPLANE_TLS for any other word.
 */
export function readTlsMode(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): 'native' | 'stream' {
  const word = environment['MILLRACE_TLS']
  if (word === undefined || word === '' || word === 'native') return 'native'
  if (word === 'stream') return 'stream'
  throw new MillraceError('ERR_DATAPLANE_TLS', JSON.stringify(word.slice(0, 64)))
}
