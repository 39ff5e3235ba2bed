/** Several runs as one. */
import type { ContenderNote, Result } from '../lib/result.ts'
import type { Failure } from '../lib/scenario.ts'
import type { Row } from '../lib/summary.ts'

/** One scenario, in whole from one run: contenders are only ever compared within a run. */
export interface Section {
  readonly name: string
  readonly about: string
  /** The run it comes from, as an index into {@link Merged.runs}. */
  readonly run: number
  readonly rows: readonly Row[]
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

/** Takes each scenario of `order` from the newest run that has figures of it. */
export function mergeResults(results: readonly Result[], order: readonly string[]): Merged {
  const newestFirst = results.toSorted((a, b) => (a.date < b.date ? 1 : a.date > b.date ? -1 : 0))
  const chosen = order.flatMap((name) => {
    const result = newestFirst.find(({ rows }) => rows.some(({ scenario }) => scenario === name))
    return result === undefined ? [] : [{ name, result }]
  })
  const runs = newestFirst.filter((result) => chosen.some((choice) => choice.result === result)).reverse()
  const sections = chosen.map(({ name, result }) => ({
    name,
    about: result.scenarios.find((scenario) => scenario.name === name)?.about ?? '',
    run: runs.indexOf(result),
    rows: result.rows.filter(({ scenario }) => scenario === name),
    failures: result.failures.filter(({ scenario }) => scenario === name),
  }))
  const contenders = new Map<string, ContenderNote>()
  for (const { contenders: known } of runs) for (const contender of known) contenders.set(contender.name, contender)
  return { runs, sections, contenders: [...contenders.values()] }
}
