/** What a run of the bench leaves behind: one JSON file, small enough to be kept in the repository. */

import type { Machine } from './machine.ts'
import type { Failure } from './scenario.ts'
import type { Row } from './summary.ts'
import type { Verdict } from './verdicts.ts'

/** A contender as the report shows it. */
export interface ContenderNote {
  readonly name: string
  readonly kind: 'direct' | 'hop' | 'tunnel' | 'http-tunnel' | 'base'
  readonly note: string
  /** Its programs that were not on PATH. */
  readonly missing: readonly string[]
}

/** One run of the bench. */
export interface Result {
  readonly machine: Machine
  /** Twelve digits; a `+` behind them: the checkout had changes. */
  readonly commit: string
  /** ISO 8601. */
  readonly date: string
  readonly command: string
  readonly effort: { readonly rounds: number; readonly scale: number }
  readonly scenarios: readonly { readonly name: string; readonly about: string }[]
  readonly contenders: readonly ContenderNote[]
  readonly failures: readonly Failure[]
  readonly rows: readonly Row[]
  readonly verdicts: readonly Verdict[]
}

/** Five digits are more than any figure here is exact to. */
function short(value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}

const lists = ['scenarios', 'contenders', 'failures', 'rows', 'verdicts'] as const

/** A run as JSON, an entry of each list a line, so that two files can be compared. */
export function formatResult(result: Result): string {
  const line = (value: unknown): string => JSON.stringify(value, (_key, inner: unknown) => short(inner))
  const members = Object.entries(result).map(([name, value]: [string, unknown]) => {
    if (!lists.some((list) => list === name) || !Array.isArray(value) || value.length === 0) {
      return `${JSON.stringify(name)}: ${line(value)}`
    }
    return `${JSON.stringify(name)}: [\n${value.map((item: unknown) => `  ${line(item)}`).join(',\n')}\n]`
  })
  return `{\n${members.join(',\n')}\n}\n`
}

/** Reads what {@link formatResult} wrote. Throws an Error that names `file` when it is something else. */
export function readResult(text: string, file: string): Result {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new Error(`${file} is not JSON`, { cause: error })
  }
  const fields: Readonly<Record<string, unknown>> =
    typeof parsed === 'object' && parsed !== null ? Object.fromEntries(Object.entries(parsed)) : {}
  const missing = ['machine', 'commit', 'date', 'command', 'effort', ...lists].find(
    (name) => fields[name] === undefined,
  )
  if (missing !== undefined) throw new Error(`${file} is no result of the bench: it has no ${missing}`)
  const broken = lists.find((name) => !Array.isArray(fields[name]))
  if (broken !== undefined) throw new Error(`${file} is no result of the bench: ${broken} is no list`)
  return parsed as Result
}
