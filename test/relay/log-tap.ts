import { createLogger, type Logger } from '../../src/observe/log.ts'

/** A log line as scripts see it. */
export type LogLine = Readonly<Record<string, unknown>>

const waitMs = 15_000

/** A logger whose lines a test can await. */
export class LogTap {
  readonly lines: LogLine[] = []
  readonly #watchers = new Set<(line: LogLine) => void>()
  readonly log: Logger = createLogger({
    format: 'json',
    level: 'debug',
    write: (text) => {
      const line = JSON.parse(text) as LogLine
      this.lines.push(line)
      for (const watcher of this.#watchers) watcher(line)
    },
  })

  all(event: string): readonly LogLine[] {
    return this.lines.filter((line) => line['event'] === event)
  }

  /** The first line, past or to come, with this event and these fields. */
  until(event: string, fields: LogLine = {}): Promise<LogLine> {
    const fits = (line: LogLine): boolean =>
      line['event'] === event && Object.entries(fields).every(([name, value]) => line[name] === value)
    const seen = this.lines.find(fits)
    if (seen !== undefined) return Promise.resolve(seen)
    return new Promise((resolve, reject) => {
      const watcher = (line: LogLine): void => {
        if (!fits(line)) return
        clearTimeout(timer)
        this.#watchers.delete(watcher)
        resolve(line)
      }
      const timer = setTimeout(() => {
        this.#watchers.delete(watcher)
        const tail = this.lines.slice(-8).map((line) => JSON.stringify(line))
        reject(new Error(`waited for ${event} ${JSON.stringify(fields)}; last lines:\n${tail.join('\n')}`))
      }, waitMs)
      this.#watchers.add(watcher)
    })
  }
}
