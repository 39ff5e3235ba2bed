/** Figures as Markdown tables. */
import type { Row } from '../lib/summary.ts'
import { figure, type Verdict } from '../lib/verdicts.ts'

/** A Markdown table; cells may hold anything but line ends. */
export function table(
  head: readonly string[],
  lines: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = head.map((_, index) => (right.includes(index) ? '--:' : '---'))
  return [line(head), `|${rule.join('|')}|`, ...lines.map(line)].join('\n')
}

/** How much of its core a contender used, from the medians of one case; undefined where they don't say. */
export function busyPart(rows: readonly Row[]): number | undefined {
  const of = (metric: string): number | undefined => rows.find((row) => row.metric === metric)?.median
  const product = (cost: string, rate: string, unit: number): number | undefined => {
    const [a, b] = [of(cost), of(rate)]
    return a === undefined || b === undefined ? undefined : a * b * unit
  }
  return (
    product('cpu_s_per_gb', 'gbit_s', 1 / 8) ??
    product('cpu_us_per_round_trip', 'round_trips_s', 1e-6) ??
    product('cpu_us_per_connection', 'connections_s', 1e-6) ??
    product('cpu_us_per_request', 'requests_s', 1e-6)
  )
}

/** One case: a line for each contender, a column for each metric. */
export function caseTable(rows: readonly Row[]): string {
  const metrics = [...new Map(rows.map(({ metric, unit }) => [metric, unit]))]
  const contenders = [...new Set(rows.map(({ contender }) => contender))]
  const busy = contenders.map((name) => busyPart(rows.filter(({ contender }) => contender === name)))
  const withBusy = busy.some((part) => part !== undefined)
  const lines = contenders.map((contender, index) => {
    const own = rows.filter((row) => row.contender === contender)
    const cells = metrics.map(([metric]) => {
      const row = own.find((candidate) => candidate.metric === metric)
      return row === undefined ? '–' : `${figure(row.median)} (${figure(row.min)}–${figure(row.max)})`
    })
    const part = busy[index]
    return [contender, ...cells, ...(withBusy ? [part === undefined ? '–' : `${Math.round(part * 100)} %`] : [])]
  })
  const head = ['', ...metrics.map(([metric, unit]) => `${metric}, ${unit}`), ...(withBusy ? ['core busy'] : [])]
  return table(head, lines, head.map((_, index) => index).slice(1))
}

function verdictWord({ passed, reason = '' }: Verdict): string {
  return passed === undefined ? `not judged: ${reason}` : passed ? 'passed' : '**missed**'
}

/** Every verdict, those of one bar together. */
export function verdictTable(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map((verdict, index) => [
    verdicts[index - 1]?.bar === verdict.bar ? '' : verdict.bar,
    verdict.case,
    verdict.contender,
    verdict.against === 'absolute' ? '' : verdict.against,
    verdict.ratio === undefined ? '–' : figure(verdict.ratio),
    `${verdict.sense === 'at most' ? '≤' : '≥'} ${figure(verdict.limit)}`,
    verdictWord(verdict),
  ])
  return table(['bar', 'case', 'of', 'against', 'measured', 'limit', ''], lines, [4, 5])
}
