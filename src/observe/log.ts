import { type DestinationStream, destination as openDestination, type Logger as PinoLogger, pino } from 'pino'
import { prettyLine } from './pretty-line.ts'

/** How important a line is. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** How lines look: `json` is one object a line, `pretty` one readable line. */
export type LogFormat = 'pretty' | 'json'

/** What a line carries beside its event: flat values; never a secret. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * Where events are told. `event` is a stable name (`tunnel.up`) that scripts and tests match on; `message` is prose
 * for people and may change at any time.
 */
export interface Logger {
  debug(event: string, fields?: LogFields, message?: string): void
  info(event: string, fields?: LogFields, message?: string): void
  warn(event: string, fields?: LogFields, message?: string): void
  error(event: string, fields?: LogFields, message?: string): void
  /** A logger that adds these fields to each line. */
  child(fields: LogFields): Logger
}

/** Settings of {@link createLogger}. */
export interface LoggerOptions {
  readonly format: LogFormat
  /** The least important lines that are written. Default `info`. */
  readonly level?: LogLevel
  /** Takes whole lines, newline included. Default standard output, written at once. */
  readonly write?: (line: string) => void
}

/** Fields that are never written, whoever passes them: the last line of defence behind callers that don't. */
const secrets = ['token', 'Token', 'User', 'Password', 'password', 'HttpAuth', 'httpAuth', 'Ticket', 'Tickets', 'key']

/** Makes a logger. JSON lines hold `level` as a word, `time` in ISO 8601, `event`, the fields, and `msg` if any. */
export function createLogger(options: LoggerOptions): Logger {
  // Synchronous: the last lines before an exit are the ones that are looked for.
  const write = options.write ?? standardOutput()
  const sink: DestinationStream = {
    write: options.format === 'json' ? write : (line) => write(prettyLine(line)),
  }
  const root = pino(
    {
      level: options.level ?? 'info',
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secrets, remove: true },
    },
    sink,
  )
  return wrap(root)
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
}

function wrap(sink: PinoLogger<never, boolean>): Logger {
  const writer = (level: LogLevel): Logger[LogLevel] => {
    return (event, fields, message) => {
      // Asked first: some lines concern each visitor, and are seldom wanted.
      if (sink.isLevelEnabled(level)) sink[level]({ event, ...fields }, message)
    }
  }
  return {
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
    child: (fields) => wrap(sink.child(fields)),
  }
}

function standardOutput(): (line: string) => void {
  const stdout = openDestination({ fd: 1, sync: true })
  // The reader of our log going away (EPIPE) must not end the tunnels.
  stdout.on('error', () => undefined)
  return (line) => {
    stdout.write(line)
  }
}
