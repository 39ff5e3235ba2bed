import { networkInterfaces } from 'node:os'

/** What happened around the agent: the machine slept, or its addresses changed. */
export type Disturbance = 'resumed' | 'network'

/** Where {@link Surroundings} looks; all but `onChange` are for tests. */
export interface SurroundingsOptions {
  /** Called at most once for each look. Must not throw. */
  readonly onChange: (what: Disturbance) => void
  /** Default 2 000 ms. */
  readonly periodMs?: number
  /** Ms of a clock that goes on while the machine sleeps. Default the wall clock. */
  readonly now?: () => number
  /** The machine's addresses, as one text. */
  readonly addresses?: () => string
}

/** So much later than it was due, a look says that neither the machine nor this process ran. */
const lateMs = 5_000

/**
 * Notices that the machine has slept or changed its network: connections that looked alive may be dead then, and no FIN
 * of theirs ever came.
 */
export class Surroundings {
  readonly #options: Required<SurroundingsOptions>
  readonly #timer: NodeJS.Timeout
  #lookedAt: number
  #addresses: string

  constructor(options: SurroundingsOptions) {
    this.#options = { periodMs: 2_000, now: Date.now, addresses: ownAddresses, ...options }
    this.#lookedAt = this.#options.now()
    this.#addresses = this.#options.addresses()
    this.#timer = setInterval(() => this.look(), this.#options.periodMs)
    this.#timer.unref()
  }

  /** Looks now. */
  look(): void {
    const { addresses, now, onChange, periodMs } = this.#options
    const before = { at: this.#lookedAt, addresses: this.#addresses }
    this.#lookedAt = now()
    this.#addresses = addresses()
    if (this.#lookedAt - before.at > periodMs + lateMs) onChange('resumed')
    else if (this.#addresses !== before.addresses) onChange('network')
  }

  /** Ends it. Idempotent. */
  stop(): void {
    clearInterval(this.#timer)
  }
}

/** Those by which others are reached: without loopback, and without link-local ones, which come and go. */
function ownAddresses(): string {
  const all = Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
    list
      .filter(({ internal, address }) => !internal && !address.startsWith('fe80:') && !address.startsWith('169.254.'))
      .map(({ address }) => `${name} ${address}`),
  )
  return all.sort().join('\n')
}
