/** Several runs as one. */
import type { ContenderNote, Result } from '../lib/result.ts'
import type { Failure } from '../lib/scenario.ts'
import type { Row } from '../lib/summary.ts'

/** One case of a scenario, in whole from one run: contenders are only ever compared within a run. */
export interface Case {
  readonly name: string
  /** The run it comes from, as an index into {@link Merged.runs}. */
  readonly run: number
  readonly rows: readonly Row[]
}

/** One scenario. */
export interface Section {
  readonly name: string
  readonly about: string
  readonly cases: readonly Case[]
  readonly failures: readonly Failure[]
}

/** What the report is made of. */
export interface Merged {
  /** Those that something comes from, the oldest first. */
  readonly runs: readonly Result[]
  readonly sections: readonly Section[]
  /** Every contender that any run knows. */
  readonly contenders: readonly ContenderNote[]
}

/** The cases of `scenario`, each with the newest run that has it, in the order of the oldest. */
function casesOf(scenario: string, oldestFirst: readonly Result[]): ReadonlyMap<string, Result> {
  const cases = new Map<string, Result>()
  for (const result of oldestFirst) {
    for (const row of result.rows) if (row.scenario === scenario) cases.set(row.case, result)
  }
  return cases
}

/** Takes each case of the scenarios in `order` from the newest run that has figures of it. */
export function mergeResults(results: readonly Result[], order: readonly string[]): Merged {
  const oldestFirst = results.toSorted((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0))
  const chosen = order
    .map((name) => ({ name, cases: casesOf(name, oldestFirst) }))
    .filter(({ cases }) => cases.size > 0)
  const used = new Set(chosen.flatMap(({ cases }) => [...cases.values()]))
  const runs = oldestFirst.filter((result) => used.has(result))
  const sections = chosen.map(({ name, cases }) => ({
    name,
    about: [...cases.values()].at(-1)?.scenarios.find((scenario) => scenario.name === name)?.about ?? '',
    cases: [...cases].map(([of, result]) => ({
      name: of,
      run: runs.indexOf(result),
      rows: result.rows.filter((row) => row.scenario === name && row.case === of),
    })),
    failures: runs.flatMap(({ failures }) =>
      failures.filter((failure) => failure.scenario === name && !isMeasured(failure, cases)),
    ),
  }))
  const contenders = new Map<string, ContenderNote>()
  for (const { contenders: known } of runs) for (const contender of known) contenders.set(contender.name, contender)
  return { runs, sections, contenders: [...contenders.values()] }
}

/** Whether a later run has figures of what failed. */
function isMeasured(failure: Failure, cases: ReadonlyMap<string, Result>): boolean {
  const rows = cases.get(failure.case)?.rows ?? []
  return rows.some(
    (row) => row.scenario === failure.scenario && row.case === failure.case && row.contender === failure.contender,
  )
}
