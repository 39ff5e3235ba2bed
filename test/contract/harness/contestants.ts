import { createDataPlane } from '../../../src/dataplane/create.ts'
import { describeAttempts, loadAddon } from '../../../src/dataplane/native/load.ts'
import type { DataPlane, DataPlaneMode } from '../../../src/dataplane/types.ts'

/** One implementation under the contract. `direct` has no plane: its two peers are connected to each other. */
export interface Contestant {
  readonly label: string
  readonly mode: DataPlaneMode | 'direct'
  readonly plane: DataPlane | undefined
}

/** An implementation that cannot run here, and why. */
export interface Missing {
  readonly label: string
  readonly reason: string
}

const labels: readonly (readonly [DataPlaneMode | 'direct', string])[] = [
  ['native', 'native-adaptive'],
  ['copy', 'native-copy'],
  ['splice', 'native-splice'],
  ['stream', 'stream'],
  ['direct', 'direct'],
]

/** `MILLRACE_CONTRACT_ONLY=native,copy,splice` narrows the suite; what it names must then exist. */
const only = process.env['MILLRACE_CONTRACT_ONLY']?.split(',') ?? []

for (const word of only) {
  if (!labels.some(([mode]) => mode === word))
    throw new Error(`MILLRACE_CONTRACT_ONLY: no contestant is called ${word}`)
}

const found: Contestant[] = []
const absent: Missing[] = []
for (const [mode, label] of labels) {
  if (only.length === 0 || only.includes(mode)) enrol(mode, label)
}

/** What the suite runs over, in the order of the labels. */
export const contestants: readonly Contestant[] = found
/** What it would have run over as well. 00-contestants.test.ts reports it once. */
export const missing: readonly Missing[] = absent
/** True when the caller named the contestants: a missing one is then a failure. */
export const named = only.length > 0

function enrol(mode: DataPlaneMode | 'direct', label: string): void {
  if (mode === 'direct') {
    found.push({ label, mode, plane: undefined })
    return
  }
  const plane = createDataPlane(mode)
  const wanted = mode === 'stream' ? 'stream' : 'native'
  if (plane.kind === wanted) found.push({ label, mode, plane })
  else absent.push({ label, reason: whyNotNative() })
}

function whyNotNative(): string {
  const loaded = loadAddon()
  if (loaded.state === 'loaded') return 'the addon loads, but its workers do not start'
  return `the addon is ${loaded.state}: ${describeAttempts(loaded.tried).trim().replaceAll(/\n\s*/g, '; ')}`
}
