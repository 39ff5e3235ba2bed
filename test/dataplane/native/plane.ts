import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createDataPlane } from '../../../src/dataplane/create.ts'
import type { DataPlane } from '../../../src/dataplane/types.ts'

/** The checkout. */
export const root = fileURLToPath(new URL('../../..', import.meta.url))
/** Where the checkout's own build of the addon is, if there is one. */
export const binary = fileURLToPath(new URL('../../../build/Release/millrace.node', import.meta.url))

/** Why tests of the addon are skipped here; false where they run. */
export const skip: string | false = reason()

/** The native data plane. Only where {@link skip} is false. */
export function nativePlane(): DataPlane {
  const plane = createDataPlane('native')
  if (plane.kind !== 'native') throw new Error('the native data plane does not run here')
  return plane
}

function reason(): string | false {
  if (process.env['MILLRACE_DATAPLANE'] === 'stream')
    return 'MILLRACE_DATAPLANE=stream leaves the native data plane out'
  return existsSync(binary) ? false : 'no addon is built here (build/Release/millrace.node)'
}
