import type { ErrorCode } from '../errors.ts'
import { refusalMetric } from '../observe/refusals.ts'

/** What a limit is counted in. Rates are per second, with room for a burst that `what` names. */
export type LimitUnit = 'count' | 'bytes' | 'ms' | 'characters' | 'per second' | 'bytes per second'

/** One limit on something that a peer controls. The tables of these are the only place where it is written down. */
export interface Limit {
  /** The value when nothing is said. */
  readonly value: number
  readonly unit: LimitUnit
  /** Least and most that the config file may say. Absent: the limit is fixed. */
  readonly range?: readonly [least: number, most: number]
  /** What is limited, for people. */
  readonly what: string
  /** What happens to what lies beyond. */
  readonly beyond: string
  /** What that is called, and counted by. Absent: nobody is refused anything. */
  readonly code?: ErrorCode
}

/** Limits by their names in the code. */
export type LimitTable = Readonly<Record<string, Limit>>

/** The values of a table's limits. */
export type LimitValues<T extends LimitTable> = { readonly [K in keyof T]: number }

/** A name of the code as config files have it. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** The values when nothing is said. */
export function defaultsOf<const T extends LimitTable>(table: T): LimitValues<T> {
  return Object.fromEntries(Object.entries(table).map(([name, { value }]) => [name, value])) as LimitValues<T>
}

/** The values of a table's limits with what a config file says (by its names) in place of the defaults. */
export function limitsFrom<const T extends LimitTable>(
  table: T,
  given: Readonly<Record<string, number | undefined>> = {},
): LimitValues<T> {
  const values = Object.entries(table).map(([name, { value }]) => [name, given[snakeCase(name)] ?? value])
  return Object.fromEntries(values) as LimitValues<T>
}

/** The name under which refusals by a limit are counted; undefined when it refuses nobody anything. */
export function metricOf({ code }: Limit): string | undefined {
  return code === undefined ? undefined : refusalMetric(code)
}
