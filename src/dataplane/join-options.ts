import { MillraceError } from '../errors.ts'
import type { DialTarget, DirectionOptions, JoinOptions, JoinToOptions, RateLimit } from './types.ts'

/** The limits of a join with their defaults filled in. All ms; 0 is off. */
export interface JoinLimits {
  readonly idleMs: number
  readonly halfClosedIdleMs: number
  readonly maxDurationMs: number
  readonly stalledMs: number
}

/** Checks a join's options (ERR_OPTION) and fills the limits' defaults in. */
export function readJoinLimits(options: JoinOptions): JoinLimits {
  checkDirection('aToB', options.aToB)
  checkDirection('bToA', options.bToA)
  return {
    idleMs: readMs('idleMs', options.idleMs, 0),
    halfClosedIdleMs: readMs('halfClosedIdleMs', options.halfClosedIdleMs, 60_000),
    maxDurationMs: readMs('maxDurationMs', options.maxDurationMs, 0),
    stalledMs: readMs('stalledMs', options.stalledMs, 300_000),
  }
}

/** The same for a join that dials: also checks the target and that no direction is the caller's. */
export function readJoinToLimits(target: DialTarget, options: JoinToOptions): JoinLimits {
  if (options.aToB?.drive === 'caller' || options.bToA?.drive === 'caller') {
    throw new MillraceError('ERR_OPTION', "joinTo: no direction can have drive 'caller'")
  }
  if ('port' in target && !(Number.isInteger(target.port) && target.port > 0 && target.port <= 65_535)) {
    refuse('target.port', 'from 1 to 65535', target.port)
  }
  readDialTimeout(options)
  return readJoinLimits(options)
}

/** How long the dial of a join may take: name resolution and connect together. `Infinity` is off. */
export function readDialTimeout(options: JoinToOptions): number {
  return readMs('dialTimeoutMs', options.dialTimeoutMs, 10_000) || Number.POSITIVE_INFINITY
}

/** Checks a rate and its burst (default one second's worth). Throws ERR_OPTION. */
export function checkRate(bytesPerSecond: number, burst: number): void {
  if (!(bytesPerSecond >= 1 && Number.isFinite(bytesPerSecond))) refuse('bytesPerSecond', '≥ 1', bytesPerSecond)
  if (!(burst >= 1 && Number.isFinite(burst))) refuse('burst', '≥ 1', burst)
}

function readMs(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback
  if (!(value >= 0)) refuse(name, '≥ 0', value)
  return value === Number.POSITIVE_INFINITY ? 0 : value
}

function checkDirection(name: string, options: DirectionOptions | undefined): void {
  if (options === undefined) return
  const { drive, maxBytes, rate } = options
  if (drive !== undefined && drive !== 'caller' && drive !== 'data-plane') refuse(`${name}.drive`, 'known', drive)
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes >= 0)) {
    refuse(`${name}.maxBytes`, 'a whole number ≥ 0', maxBytes)
  }
  if (drive === 'caller' && (rate !== undefined || maxBytes !== undefined)) {
    throw new MillraceError('ERR_OPTION', `${name}: drive 'caller' excludes rate and maxBytes`)
  }
  checkRateObject(name, rate)
}

function checkRateObject(name: string, rate: RateLimit | undefined): void {
  if (rate !== undefined && (typeof rate !== 'object' || rate === null)) refuse(`${name}.rate`, 'a RateLimit', rate)
}

function refuse(name: string, expected: string, value: unknown): never {
  throw new MillraceError('ERR_OPTION', `${name} must be ${expected}, not ${String(value)}`)
}
