import { MillraceError } from '../errors.ts'

/** So many seconds' worth of messages may come at once: an agent asks for all its tunnels in one go. */
const burstSeconds = 10
/** A message counts once for each so many bytes begun: large ones take as long to read as many small ones. */
const bytesPerCount = 1024

/** How fast one agent sends messages: a token bucket. */
export class MessageRate {
  readonly #perSecond: () => number
  readonly #now: () => number
  #left: number
  #at: number

  /** `perSecond` is asked each time, and may change. `now`: a clock in ms that only goes forward. */
  constructor(perSecond: () => number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#now = now
    this.#left = perSecond() * burstSeconds
    this.#at = now()
  }

  /** A message of so many bytes has come. Throws ERR_CONTROL_RATE when it is one too many. */
  readonly count = (bytes: number): void => {
    const perSecond = this.#perSecond()
    const now = this.#now()
    const refilled = this.#left + ((now - this.#at) / 1000) * perSecond
    this.#left = Math.min(perSecond * burstSeconds, refilled) - Math.ceil(bytes / bytesPerCount)
    this.#at = now
    if (this.#left < 0) throw new MillraceError('ERR_CONTROL_RATE', `${perSecond}`)
  }
}
