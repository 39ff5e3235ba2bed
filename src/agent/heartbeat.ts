import { ping2IntervalMs, ping2SilenceMs, pingIntervalMs, pongTimeoutMs } from '../wire/limits.ts'

/** A heartbeat's times in ms. */
export interface HeartbeatTimes {
  /** Between two pings. */
  readonly intervalMs: number
  /** The peer is given up after so long without hearing anything from it. */
  readonly silenceMs: number
}

/**
 * 1.x: a ping every 20 s, answered within 15 s. Whatever is heard counts as an answer, so the rule is the same as
 * "nothing heard for 35 s".
 */
export const plainHeartbeat: HeartbeatTimes = {
  intervalMs: pingIntervalMs,
  silenceMs: pingIntervalMs + pongTimeoutMs,
}

/** The `ping2` extension: pings every 5 s, gives up after 10 s unheard. */
export const ping2Heartbeat: HeartbeatTimes = { intervalMs: ping2IntervalMs, silenceMs: ping2SilenceMs }

/** What a heartbeat does. */
export interface HeartbeatActions {
  /** Sends a ping. */
  readonly ping: () => void
  /** The peer was silent for too long. Called once, and nothing after it. */
  readonly dead: () => void
}

/** Pings a peer and notices its silence. Runs from construction until `stop()` or `dead`. */
export class Heartbeat {
  readonly #times: HeartbeatTimes
  readonly #actions: HeartbeatActions
  readonly #pings: NodeJS.Timeout
  #watch: NodeJS.Timeout
  #heardAt = performance.now()
  #probe: NodeJS.Timeout | undefined
  #stopped = false

  constructor(times: HeartbeatTimes, actions: HeartbeatActions) {
    this.#times = times
    this.#actions = actions
    this.#pings = setInterval(actions.ping, times.intervalMs)
    this.#watch = setTimeout(() => this.#check(), times.silenceMs)
  }

  /** To be called for everything heard from the peer. */
  heard(): void {
    this.#heardAt = performance.now()
  }

  /** Asks now: the peer is given up when nothing is heard from it for so long, ms. One at a time. */
  probe(limitMs: number): void {
    if (this.#stopped || this.#probe !== undefined) return
    const askedAt = performance.now()
    this.#actions.ping()
    this.#probe = setTimeout(() => {
      // As in #check: what has arrived must count.
      setImmediate(() => {
        this.#probe = undefined
        if (!this.#stopped && this.#heardAt < askedAt) this.#die()
      })
    }, limitMs)
  }

  /** Ends it. Idempotent. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#probe)
    clearInterval(this.#pings)
    clearTimeout(this.#watch)
  }

  #check(): void {
    const left = this.#left()
    if (left > 0) {
      this.#watch = setTimeout(() => this.#check(), left)
      return
    }
    // A process that was stopped or busy runs its timers before it reads its sockets: what has arrived meanwhile must
    // count, so the verdict waits for a full turn of the event loop.
    this.#watch = setTimeout(() => {
      setImmediate(() => this.#verdict())
    }, 1)
  }

  #verdict(): void {
    if (this.#stopped) return
    if (this.#left() > 0) {
      this.#check()
      return
    }
    this.#die()
  }

  #die(): void {
    this.stop()
    this.#actions.dead()
  }

  #left(): number {
    return this.#heardAt + this.#times.silenceMs - performance.now()
  }
}
