import { isDeepStrictEqual } from 'node:util'
import type { RelaySettings } from './relay-settings.ts'

/** What differs between two settings, by the names of the config file. */
export interface SettingsChange {
  /** What counts from now on. */
  readonly live: readonly string[]
  /** What counts after a restart. */
  readonly later: readonly string[]
}

/** The settings that a running relay can take over. Of `limits` all can but those in {@link fixedLimits}. */
const liveKeys: ReadonlySet<keyof RelaySettings> = new Set([
  'tcpPorts',
  'allow',
  'deny',
  'proxyProtocolFrom',
  'httpsRedirect',
  'hstsSeconds',
  'tokens',
  'allowPlain',
  'lanes',
  'drainTimeoutMs',
  'nameGraceMs',
] as const)

const fixedLimits: ReadonlySet<string> = new Set(['remembered'])

/** Names that are not their own in snake case. */
const fileNames: Readonly<Record<string, string>> = {
  hstsSeconds: 'hsts',
  drainTimeoutMs: 'drain_timeout',
  nameGraceMs: 'name_grace',
}

/** Compares the settings of now with others. */
export function settingsChange(now: RelaySettings, next: RelaySettings): SettingsChange {
  const [live, later]: [string[], string[]] = [[], []]
  for (const key of keysOf(now, next)) {
    if (key === 'limits' || isDeepStrictEqual(now[key], next[key])) continue
    if (liveKeys.has(key)) live.push(fileName(key))
    else later.push(fileName(key))
  }
  for (const key of keysOf(now.limits, next.limits)) {
    if (now.limits[key] === next.limits[key]) continue
    if (fixedLimits.has(key)) later.push(`limits.${fileName(key)}`)
    else live.push(`limits.${fileName(key)}`)
  }
  return { live, later }
}

/** The settings of now with what can be taken over from others. */
export function mergedSettings(now: RelaySettings, next: RelaySettings): RelaySettings {
  const taken = Object.fromEntries([...liveKeys].map((key) => [key, next[key]]))
  const fixed = Object.fromEntries(Object.entries(now.limits).filter(([key]) => fixedLimits.has(key)))
  return { ...now, ...taken, limits: { ...next.limits, ...fixed } }
}

function keysOf<T extends object>(a: T, b: T): readonly (keyof T & string)[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])] as (keyof T & string)[]
}

function fileName(key: string): string {
  return fileNames[key] ?? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
