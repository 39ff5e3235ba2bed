import type { LogFields, Logger, LogLevel } from '../../src/observe/log.ts'

/** How long tests wait for something that must come, ms. Far above what it takes: only a fault meets it. */
export const patienceMs = 20_000

/** A promise that fails with `what` instead of hanging. */
export async function within<T>(promise: Promise<T>, what: string, ms = patienceMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`still waiting after ${ms} ms for ${what}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A queue that readers can wait on. */
export class Mailbox<T> {
  readonly #items: T[] = []
  readonly #readers: { readonly take: (item: T) => void; readonly giveUp: (error: Error) => void }[] = []
  readonly #what: string
  readonly #patienceMs: number
  #closed = false

  constructor(what: string, ms = patienceMs) {
    this.#what = what
    this.#patienceMs = ms
  }

  /** Adds an item. */
  put(item: T): void {
    const reader = this.#readers.shift()
    if (reader === undefined) this.#items.push(item)
    else reader.take(item)
  }

  /** Takes the next item; rejects when none comes. */
  async next(): Promise<T> {
    const item = this.#items.shift()
    if (item !== undefined) return item
    if (this.#closed) throw new Error(`no ${this.#what}: it has ended`)
    const waiting = new Promise<T>((take, giveUp) => this.#readers.push({ take, giveUp }))
    return within(waiting, this.#what, this.#patienceMs)
  }

  /** Says that no more will come. */
  close(): void {
    this.#closed = true
    for (const { giveUp } of this.#readers.splice(0)) giveUp(new Error(`no ${this.#what}: it has ended`))
  }

  /** Items that nobody has taken. */
  get waiting(): number {
    return this.#items.length
  }
}

/** One line of a {@link RecordingLogger}. */
export interface LoggedLine {
  readonly level: LogLevel
  readonly event: string
  readonly fields: LogFields
}

/** A logger that keeps its lines, for tests that wait for events. */
export class RecordingLogger implements Logger {
  readonly lines: LoggedLine[] = []
  #watchers: (() => void)[] = []

  debug(event: string, fields: LogFields = {}): void {
    this.#add('debug', event, fields)
  }

  info(event: string, fields: LogFields = {}): void {
    this.#add('info', event, fields)
  }

  warn(event: string, fields: LogFields = {}): void {
    this.#add('warn', event, fields)
  }

  error(event: string, fields: LogFields = {}): void {
    this.#add('error', event, fields)
  }

  child(): Logger {
    return this
  }

  /** All lines of an event so far. */
  of(event: string): readonly LoggedLine[] {
    return this.lines.filter((line) => line.event === event)
  }

  /** The `nth` line (from 1) of an event, as soon as it is there. */
  async line(event: string, nth = 1): Promise<LoggedLine> {
    const wait = async (): Promise<LoggedLine> => {
      for (;;) {
        const line = this.of(event)[nth - 1]
        if (line !== undefined) return line
        await new Promise<void>((resolve) => this.#watchers.push(resolve))
      }
    }
    return within(wait(), `log line ${nth} of ${event}; seen: ${this.lines.map((line) => line.event).join(' ')}`)
  }

  #add(level: LogLevel, event: string, fields: LogFields): void {
    this.lines.push({ level, event, fields })
    const watchers = this.#watchers
    this.#watchers = []
    for (const watcher of watchers) watcher()
  }
}
