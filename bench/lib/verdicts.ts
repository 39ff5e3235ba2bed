/** Judges the rows of one run by the bars. */
import { type Bar, minRounds, toleranceOf } from './bars.ts'
import { type Metric, median, type Row } from './summary.ts'

/** What came out of one bar in one case against one other. */
export interface Verdict {
  readonly bar: string
  readonly scenario: string
  readonly case: string
  readonly metric: Metric
  readonly contender: string
  /** The contender, `case NAME` or `absolute`. */
  readonly against: string
  /** The median of the ratios round by round; against `absolute` that of the figures. Not there: not judged. */
  readonly ratio?: number
  /** The limit with its tolerance, and which side of it is good. */
  readonly limit: number
  readonly sense: 'at most' | 'at least'
  /** Not there: not judged, for `reason`. */
  readonly passed?: boolean
  readonly reason?: string
}

type Find = (scenario: string, name: string, contender: string, metric: string) => Row | undefined

function finder(rows: readonly Row[]): Find {
  const key = (...words: readonly string[]): string => words.join('\0')
  const index = new Map(rows.map((row) => [key(row.scenario, row.case, row.contender, row.metric), row]))
  return (...words) => index.get(key(...words))
}

/** The figures of `row` over those of `other`, round by round. */
export function ratiosOf(row: Row, other: Row): readonly number[] {
  return row.values.slice(0, other.values.length).map((value, round) => value / (other.values[round] ?? Number.NaN))
}

/** The reference of one comparison: its name, and its row unless it is missing. */
interface Reference {
  readonly name: string
  readonly row: Row | undefined
}

function referencesOf(bar: Bar, name: string, find: Find): readonly Reference[] {
  const { against, scenario, metric, contender } = bar
  if (against === 'absolute') return [{ name: 'absolute', row: undefined }]
  if ('otherCase' in against) {
    return [{ name: `case ${against.otherCase}`, row: find(scenario, against.otherCase, contender, metric) }]
  }
  const found = (list: readonly string[]): readonly Reference[] =>
    list.map((other) => ({ name: other, row: find(scenario, name, other, metric) }))
  if ('each' in against) return found(against.each)
  const there = found(against.best).filter(({ row }) => row !== undefined)
  const sense = bar.atLeast === undefined ? 1 : -1
  const best = there.toSorted((a, b) => sense * ((a.row?.median ?? 0) - (b.row?.median ?? 0)))[0]
  const listed = against.best.join(', ')
  if (best === undefined) return [{ name: `best of ${listed}`, row: undefined }]
  const ran = there.map((reference) => reference.name)
  const absent = against.best.filter((other) => !ran.includes(other))
  const words = absent.length === 0 ? `best of ${listed}` : `best of ${ran.join(', ')}; without ${absent.join(', ')}`
  return [{ name: `${best.name} (${words})`, row: best.row }]
}

function judge(bar: Bar, name: string, row: Row | undefined, reference: Reference): Verdict {
  const least = bar.atLeast !== undefined
  const tolerance = toleranceOf(bar.metric)
  const limit = least ? (bar.atLeast ?? 0) * (1 - tolerance) : (bar.atMost ?? 0) * (1 + tolerance)
  const { scenario, metric, contender } = bar
  const base = { bar: bar.bar, scenario, case: name, metric, contender, against: reference.name, limit }
  const verdict = { ...base, sense: least ? ('at least' as const) : ('at most' as const) }
  if (row === undefined) return { ...verdict, reason: `no figures of ${contender}` }
  const absolute = bar.against === 'absolute'
  if (!absolute && reference.row === undefined) return { ...verdict, reason: `no figures of ${reference.name}` }
  const { less = 0 } = bar
  const counted = { ...row, values: row.values.map((value) => value - less) }
  const ratios = reference.row === undefined ? counted.values : ratiosOf(counted, reference.row)
  const ratio = median(ratios)
  const wanted = bar.rounds ?? minRounds
  if (ratios.length < wanted) {
    return { ...verdict, ratio, reason: `too few rounds: ${ratios.length}, judged from ${wanted}` }
  }
  if (!Number.isFinite(ratio)) return { ...verdict, reason: 'a figure of 0 to compare with' }
  return { ...verdict, ratio, passed: least ? ratio >= limit : ratio <= limit }
}

/** A verdict for every bar of the scenarios that ran, each of its cases and each of those it is compared with. */
export function judgeAll(bars: readonly Bar[], ran: readonly string[], rows: readonly Row[]): Verdict[] {
  const find = finder(rows)
  return bars
    .filter((bar) => ran.includes(bar.scenario))
    .flatMap((bar) =>
      bar.cases.flatMap((name) => {
        const row = find(bar.scenario, name, bar.contender, bar.metric)
        const references = referencesOf(bar, name, find)
        if (row !== undefined) return references.map((reference) => judge(bar, name, row, reference))
        const all = { name: references.map((reference) => reference.name).join(', '), row: undefined }
        return [judge(bar, name, row, all)]
      }),
    )
}

/** A figure in at most four digits or as a whole number. */
export function figure(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  return size >= 1000 ? value.toFixed(0) : size >= 100 ? value.toFixed(1) : value.toPrecision(3)
}

/** A verdict as a line for people. */
export function verdictLine(verdict: Verdict): string {
  const sign = verdict.sense === 'at most' ? '≤' : '≥'
  const word = verdict.passed === undefined ? 'not judged' : verdict.passed ? 'passed' : 'MISSED'
  const value = verdict.ratio === undefined ? '–' : figure(verdict.ratio)
  const reason = verdict.reason === undefined ? '' : ` (${verdict.reason})`
  const where = `${verdict.case}, ${verdict.contender} against ${verdict.against}`
  return `${word.padEnd(10)} ${verdict.bar}: ${where}: ${value}, ${sign} ${figure(verdict.limit)}${reason}`
}
