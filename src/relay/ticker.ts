/** What a {@link Ticker} calls: once a second, with the time of `performance.now()`. */
export type OnTick = (now: number, stoppedMs: number) => void

/** So often does a {@link Ticker} tick, ms. */
export const periodMs = 1_000

/** Ticks that come later than this were held up by more than a busy moment, ms. */
const lateMs = 5_000

/**
 * One timer for all that has to be done now and then. `stoppedMs` is how long the process didn't run before this tick
 * (a suspended machine, SIGSTOP), 0 normally: what peers sent meanwhile hasn't been read yet, so they seem silent.
 */
export class Ticker {
  readonly #timer: NodeJS.Timeout
  #last = performance.now()

  constructor(onTick: OnTick) {
    this.#timer = setInterval(() => {
      const now = performance.now()
      const gap = now - this.#last - periodMs
      this.#last = now
      onTick(now, gap > lateMs ? gap : 0)
    }, periodMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
