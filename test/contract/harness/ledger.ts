import { readdirSync } from 'node:fs'
import type { DataPlane } from '../../../src/dataplane/types.ts'
import { eventually } from './wait.ts'

/** True where descriptors can be counted. */
export const countsDescriptors = process.platform === 'linux'

/** Descriptors that this process has open. */
export function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

/** What a data plane holds, apart from what its listeners and workers always need. */
export interface Ledger {
  /** Descriptors, those of pipes that wait in the pool for the next burst taken off. */
  readonly descriptors: number
  readonly endpoints: number
  readonly joins: number
  readonly listeners: number
}

/** What is held now. */
export function ledger(plane: DataPlane): Ledger {
  const { endpoints, joins, listeners, pipes } = plane.stats()
  return { descriptors: descriptors() - 2 * pipes, endpoints, joins, listeners }
}

/** Waits until what is held is what was held before: sockets close a little after they are told to. */
export async function backTo(base: Ledger, plane: DataPlane, ms?: number): Promise<void> {
  const wanted = JSON.stringify(base)
  await eventually(
    () => `the ledger is back at its base ${wanted}, now ${JSON.stringify(ledger(plane))}`,
    () => JSON.stringify(ledger(plane)) === wanted,
    ms,
  )
}
