import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { within } from '../agent/events.ts'
import { stateHome } from '../support/state-home.ts'

/** A process takes seconds to start on a busy machine; only a fault takes this long, ms. */
const processPatienceMs = 60_000

/** One JSON log line. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string }

/** How a process is started. */
export interface MillraceOptions {
  /** Listening descriptors that it gets as a service manager's, sd_listen_fds(3). */
  readonly sockets?: readonly number[]
  /** A command that becomes the process: `prlimit` and its like. */
  readonly through?: readonly string[]
  /** The checkout. */
  readonly folder?: string
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A `millrace` process from the sources, read by its JSON lines. It ends with its test at the latest. */
export class Millrace {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #lines: LogLine[] = []
  readonly #exit: Promise<number | string>
  #watchers: (() => void)[] = []
  #stdout = ''
  #stderr = ''
  #over = false

  constructor(
    t: TestContext,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    { sockets = [], through = [], folder = root }: MillraceOptions = {},
  ) {
    // Only the process itself knows the id that LISTEN_PID must have.
    const activated = ['sh', '-c', `LISTEN_PID=$$ LISTEN_FDS=${sockets.length} exec "$@"`, 'sh']
    const before = [...through, ...(sockets.length === 0 ? [] : activated)]
    const [program = '', ...rest] = [...before, process.execPath, '--import', 'tsx', 'src/cli/main.ts', ...args]
    this.#child = spawn(program, rest, {
      cwd: folder,
      env: { ...process.env, ...stateHome, ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...sockets],
    }) as ChildProcessByStdio<null, Readable, Readable>
    const lines = createInterface({ input: this.#child.stdout })
    lines.on('line', (line) => {
      this.#stdout += `${line}\n`
      if (line.startsWith('{"level"')) this.#lines.push(JSON.parse(line) as LogLine)
      this.#wake()
    })
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.#exit = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        this.#over = true
        this.#wake()
        resolve(code ?? signal ?? 'gone')
      })
    })
    t.after(async () => {
      this.#child.kill('SIGKILL')
      await this.#exit
    })
  }

  /** The process id. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Everything written to standard output and standard error so far. */
  get output(): { readonly stdout: string; readonly stderr: string } {
    return { stdout: this.#stdout, stderr: this.#stderr }
  }

  /** Lines of an event that match, so far. */
  of(event: string, match: (line: LogLine) => boolean = () => true): readonly LogLine[] {
    return this.#lines.filter((line) => line.event === event && match(line))
  }

  /** The `nth` line (from 1) of an event that matches, as soon as it is there. */
  async line(event: string, match: (line: LogLine) => boolean = () => true, nth = 1): Promise<LogLine> {
    const wait = async (): Promise<LogLine> => {
      for (;;) {
        const found = this.of(event, match)[nth - 1]
        if (found !== undefined) return found
        if (this.#over) throw new Error(`no ${event}: the process ended\n${this.#stdout}${this.#stderr}`)
        await new Promise<void>((resolve) => this.#watchers.push(resolve))
      }
    }
    return await within(wait(), `${event} in\n${this.#stdout}${this.#stderr}`, processPatienceMs)
  }

  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The exit code, or the signal's name. */
  async exit(): Promise<number | string> {
    return await within(this.#exit, 'the process to exit', processPatienceMs)
  }

  #wake(): void {
    const watchers = this.#watchers
    this.#watchers = []
    for (const watcher of watchers) watcher()
  }
}
