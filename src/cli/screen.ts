import type { AgentStatus } from '../agent/options.ts'

/** What a screen draws on: a TTY's write stream. */
export interface Canvas {
  readonly columns: number
  readonly rows: number
  write(text: string): boolean
}

/** Log lines that the screen keeps. */
const keptLines = 8
/** Shortest time between two drawings, ms. */
const frameMs = 100

/**
 * The agent's status on a terminal: a block of lines that is drawn over itself, below what was there before. Texts from
 * peers arrive here already made printable.
 */
export class Screen {
  readonly #out: Canvas
  readonly #relay: string
  readonly #lines: string[] = []
  #status: AgentStatus | undefined
  #drawn = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(out: Canvas, relay: string) {
    this.#out = out
    this.#relay = relay
  }

  /** Shows another status. */
  update(status: AgentStatus): void {
    this.#status = status
    this.#schedule()
  }

  /** Shows another log line. */
  addLine(line: string): void {
    if (this.#closed) {
      this.#out.write(line)
      return
    }
    this.#lines.push(line.trimEnd())
    if (this.#lines.length > keptLines) this.#lines.shift()
    this.#schedule()
  }

  /** Draws a last time and leaves the terminal to others. Idempotent. */
  close(): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#draw()
    this.#closed = true
  }

  #schedule(): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(() => this.#draw(), frameMs)
  }

  #draw(): void {
    this.#timer = undefined
    const width = Math.max(20, this.#out.columns || 80)
    const height = Math.max(5, this.#out.rows || 24)
    const lines = renderStatus(this.#relay, this.#status, this.#lines)
      .slice(0, height - 1)
      .map((line) => line.slice(0, width - 1))
    const up = this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A`
    // Each line clears its rest; the last code clears what a longer block left below.
    this.#out.write(`${up}\r${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`)
    this.#drawn = lines.length
  }
}

/** The screen's lines, for a status and the last log lines. */
export function renderStatus(
  relay: string,
  status: AgentStatus | undefined,
  log: readonly string[],
): readonly string[] {
  const tunnels = (status?.tunnels ?? []).map(({ url, target }) => row('Tunnel', `${url} -> ${target}`))
  const failed = (status?.failed ?? []).map(({ target, reason }) => row('Refused', `${target}: ${reason}`))
  const rtt = status?.rttMs === undefined ? '' : ` (${status.rttMs.toFixed(1)} ms)`
  return [
    'millrace                                        Ctrl-C ends it',
    '',
    row('Relay', `${status?.relay ?? relay}${rtt}`),
    row('State', stateText(status)),
    ...tunnels,
    ...failed,
    row('Visitors', `${status?.openJoins ?? 0} now, ${status?.totalJoins ?? 0} so far`),
    '',
    ...log,
  ]
}

function stateText(status: AgentStatus | undefined): string {
  if (status === undefined) return 'starting'
  if (status.state !== 'waiting') return status.state
  const wait = status.retryInMs < 1_000 ? 'now' : `in ${Math.round(status.retryInMs / 1_000)} s`
  return `offline, trying again ${wait}: ${status.lastLoss}`
}

function row(name: string, value: string): string {
  return `${name.padEnd(10)}${value}`
}
