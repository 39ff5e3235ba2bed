import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../observe/log.ts'

/** How often it is looked whether all have left, ms. */
const stepMs = 20
/** Between two lines of progress, ms. */
const progressMs = 5_000

/** What is waited for. */
export interface Drain {
  /** How many are left. */
  readonly left: () => number
  /** The longest wait, ms. */
  readonly limitMs: number
  /** True when it is enough before that. */
  readonly isOver?: () => boolean
  /** Told how many are left, at once and then every few seconds (`relay.draining`). Absent: nobody. */
  readonly log?: Logger
}

/** Resolves when nobody is left, or the time is over; with how many are left. */
export async function drained({ left, limitMs, isOver, log }: Drain): Promise<number> {
  const due = performance.now() + limitMs
  let nextLine = performance.now()
  for (;;) {
    const count = left()
    const now = performance.now()
    if (count === 0 || now >= due || isOver?.() === true) return count
    if (now >= nextLine) {
      nextLine += progressMs
      log?.info('relay.draining', {
        visitors: count,
        ...(Number.isFinite(due) ? { leftMs: Math.round(due - now) } : {}),
      })
    }
    await delay(Math.min(stepMs, due - now))
  }
}
