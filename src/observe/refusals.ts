import type { ErrorCode } from '../errors.ts'
import type { LogFields, Logger, LogLevel } from './log.ts'

/** Why somebody was refused something; `unknown` is a fault of ours or of the system. */
export type RefusalCode = ErrorCode | 'unknown'

/** The name under which refusals of one kind are counted. */
export function refusalMetric(code: RefusalCode): string {
  return `millrace_refusals_total{code="${code}"}`
}

/** One refusal, to be counted and told. */
export interface Refusal {
  /** The log's event. */
  readonly event: string
  readonly level: LogLevel
  readonly code: RefusalCode
  /** What the line says besides the code. */
  readonly fields: LogFields
  /** Lines of different subjects don't stand in for each other: the operator's own names only. Default ''. */
  readonly subject?: string
}

interface Told {
  readonly event: string
  readonly level: LogLevel
  readonly code: RefusalCode
  readonly at: number
  leftOut: number
}

/** Between two lines of one kind, ms. */
const quietMs = 1_000

/**
 * Counts refusals by their codes, and logs them: one line a second of each kind at most, with the number of those left
 * out, so that nobody can fill a disk by being refused. Bounded by the number of codes, events and subjects.
 */
export class Refusals {
  readonly #log: Logger
  readonly #now: () => number
  readonly #counts = new Map<RefusalCode, number>()
  readonly #told = new Map<string, Told>()

  /** `now`: a clock in ms that only goes forward. Default `performance.now`. */
  constructor(log: Logger, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
  }

  /** Refusals so far, by code; codes that never occurred are absent. */
  get counts(): ReadonlyMap<RefusalCode, number> {
    return this.#counts
  }

  /** The same under the names of metrics. */
  get metrics(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].map(([code, count]) => [refusalMetric(code), count]))
  }

  /** Counts a refusal that nobody needs to read of. */
  count(code: RefusalCode): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1)
  }

  /** Counts a refusal and tells of it. */
  tell({ code, event, fields, level, subject = '' }: Refusal): void {
    this.count(code)
    const key = `${event} ${code} ${subject}`
    const now = this.#now()
    const last = this.#told.get(key)
    if (last !== undefined && now - last.at < quietMs) {
      last.leftOut++
      return
    }
    const more = last === undefined || last.leftOut === 0 ? {} : { left_out: last.leftOut }
    this.#told.set(key, { event, level, code, at: now, leftOut: 0 })
    this.#log[level](event, { ...fields, code, ...more })
  }

  /** To be called about once a second: tells how many lines were left out where no further line does (`refusals.more`). */
  tick(): void {
    const now = this.#now()
    for (const [key, { at, code, event, leftOut, level }] of this.#told) {
      if (now - at < quietMs) continue
      this.#told.delete(key)
      if (leftOut > 0) this.#log[level]('refusals.more', { of: event, code, left_out: leftOut })
    }
  }
}
