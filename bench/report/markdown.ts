/** The report in Markdown. */
import { bars } from '../lib/bars.ts'
import type { Result } from '../lib/result.ts'
import { judgeAll, type Verdict } from '../lib/verdicts.ts'
import { type Merged, mergeResults, type Section } from './merge.ts'
import { type DrawnPlot, drawPlots } from './plots.ts'
import { caseTable, table, verdictTable } from './tables.ts'
import { hidden, method, remarks } from './words.ts'

/** Files of the report, by their paths below docs/. */
export type ReportFiles = ReadonlyMap<string, string>

const list = (items: readonly string[]): string => items.map((item) => `- ${item}`).join('\n')

function runTable({ runs, sections }: Merged): string {
  const lines = runs.map((run, index) => {
    const of = sections.flatMap(({ name, cases }) => {
      const own = cases.filter((each) => each.run === index).map((each) => each.name)
      return own.length === 0 ? [] : [own.length === cases.length ? name : `${name} (${own.join(', ')})`]
    })
    const { rounds, scale } = run.effort
    const effort = `${rounds} rounds${scale === 1 ? '' : `, ${scale} of the bytes and seconds`}`
    return [run.date.slice(0, 16).replace('T', ' '), `\`${run.commit}\``, `\`${run.command}\``, effort, of.join(', ')]
  })
  return table(['date (UTC)', 'commit', 'command', 'effort', 'taken from it'], lines)
}

function machineTable({ runs }: Merged): string {
  const words = runs.map(({ machine }) => {
    const { cpu, cores, memoryGib, kernel, congestionControl, node, versions } = machine
    const programs = Object.entries(versions)
      .map(([program, version]) => `${program}: ${version}`)
      .join('; ')
    return [`${cpu}, ${cores} cores, ${memoryGib} GiB`, `Linux ${kernel}`, congestionControl, node, programs]
  })
  const different = [...new Map(words.map((line) => [line.join('\n'), line])).values()]
  return table(['machine', 'kernel', 'congestion control', 'Node', 'programs'], different)
}

/** Judges each case by the run it comes from. */
function judgeSection({ runs }: Merged, { name, cases }: Section): readonly Verdict[] {
  const own = bars.filter(({ scenario }) => scenario === name)
  return own.flatMap((bar) =>
    bar.cases.flatMap((of) => {
      const run = cases.find((each) => each.name === of)?.run
      return judgeAll([{ ...bar, cases: [of] }], [name], run === undefined ? [] : (runs[run]?.rows ?? []))
    }),
  )
}

function summary(verdicts: readonly Verdict[]): string {
  const count = (passed: boolean | undefined): number => verdicts.filter((verdict) => verdict.passed === passed).length
  return `${count(true)} comparisons passed, ${count(false)} missed, ${count(undefined)} could not be judged.`
}

function sectionText(section: Section, plots: readonly DrawnPlot[]): string {
  const pictures = plots.map(({ file, title }) => `![${title}](benchmark/${file})`)
  const tables = section.cases.map(
    ({ name, rows }) => `<details><summary>${name}</summary>\n\n${caseTable(rows)}\n\n</details>`,
  )
  const failures = section.failures.map(
    (failure) => `No figures of ${failure.contender} in “${failure.case}”: ${failure.message.split('\n')[0] ?? ''}`,
  )
  const about = `${section.about.charAt(0).toUpperCase()}${section.about.slice(1)}.`
  const remark = remarks[section.name]
  const parts = [`### ${section.name}`, about, ...(remark === undefined ? [] : [remark]), ...pictures, ...tables]
  return [...parts, ...(failures.length === 0 ? [] : [list(failures)])].join('\n\n')
}

function contenderText({ contenders, sections }: Merged): string {
  const present = new Set(
    sections.flatMap(({ cases }) => cases.flatMap(({ rows }) => rows.map(({ contender }) => contender))),
  )
  const there = contenders.filter(({ name }) => present.has(name)).map(({ name, kind, note }) => [name, kind, note])
  const absent = contenders
    .filter(({ name, missing }) => !present.has(name) && missing.length > 0)
    .map(({ name, missing }) => `${name} (${missing.join(', ')})`)
  const words = absent.length === 0 ? '' : `\n\nNot measured, as their programs were not there: ${absent.join(', ')}.`
  return `${table(['name', 'kind', 'configuration'], there)}${words}`
}

/**
 * The report of these runs: `benchmark.md` and `benchmark/*.svg`. The same runs give the same bytes. `order` is that of
 * the scenarios; `notes` is Markdown that somebody wrote about these figures. Throws when there is nothing to report.
 */
export function renderReport(results: readonly Result[], order: readonly string[], notes = ''): ReportFiles {
  const merged = mergeResults(results, order)
  if (merged.sections.length === 0) throw new Error('these results have no figures of any scenario')
  const plots = drawPlots(merged)
  const verdicts = merged.sections.flatMap((section) => judgeSection(merged, section))
  const sections = merged.sections.map((section) =>
    sectionText(
      section,
      plots.filter(({ scenario }) => scenario === section.name),
    ),
  )
  const parts = [
    '# Benchmark',
    'Made by `npm run bench:report` from the files in `bench/results`; do not edit it by hand. [bench/README.md](../bench/README.md) says how to measure on your own machine, which is the only measurement that counts for you.',
    '## What was measured, and where',
    runTable(merged),
    machineTable(merged),
    'A `+` behind a commit: the checkout had changes that were not committed.',
    '## The bars',
    'Each is a promise of this project to itself; contenders are compared within one run only.',
    summary(verdicts),
    verdictTable(verdicts),
    ...(notes.trim() === '' ? [] : ['## Remarks on these figures', notes.trim()]),
    '## How it was measured',
    list(method),
    '### What loopback and two cores hide',
    list(hidden),
    '## Contenders',
    contenderText(merged),
    '## Figures',
    'Medians, with the least and the greatest round in brackets. Blue is ours: dark what runs by default, light the data plane held to one path. An arrow: the axis ends at four times what ours has.',
    ...sections,
  ]
  const files = plots.map(({ file, svg }): [string, string] => [`benchmark/${file}`, svg])
  return new Map([['benchmark.md', `${parts.join('\n\n')}\n`], ...files])
}
