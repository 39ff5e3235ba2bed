interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Who waits for an endpoint's writes to be taken by the kernel. The engine answers one question at a time. */
export class FlushQueue {
  readonly #ask: () => void
  #dirty = false
  /** Covered by the question that the engine has. */
  #asked: Waiter[] = []
  /** For the next one: bytes were written since. */
  #later: Waiter[] = []

  /** `ask` posts the question; {@link settle} is its answer. */
  constructor(ask: () => void) {
    this.#ask = ask
  }

  noteWrite(): void {
    this.#dirty = true
  }

  wait(): Promise<void> {
    if (!this.#dirty && this.#asked.length === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject }
      if (!this.#dirty) this.#asked.push(waiter)
      else if (this.#asked.length > 0) this.#later.push(waiter)
      else this.#askFor([waiter])
    })
  }

  /** With an error everybody is rejected. */
  settle(error: Error | undefined): void {
    const answered = this.#asked
    const later = this.#later
    this.#asked = []
    this.#later = []
    if (error === undefined) {
      for (const waiter of answered) waiter.resolve()
      if (later.length > 0) this.#askFor(later)
    } else {
      for (const waiter of [...answered, ...later]) waiter.reject(error)
    }
  }

  #askFor(waiters: Waiter[]): void {
    this.#asked = waiters
    this.#dirty = false
    this.#ask()
  }
}
