import type { MillraceError } from '../../errors.ts'

/** Those who wait until everything written is out. */
export class Flushes {
  #waiting: { readonly resolve: () => void; readonly reject: (error: MillraceError) => void }[] = []

  get waiting(): boolean {
    return this.#waiting.length > 0
  }

  wait(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  /** Settles them all: with the error, if there is one. */
  settle(error: MillraceError | undefined): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { resolve, reject } of waiting) {
      if (error === undefined) resolve()
      else reject(error)
    }
  }
}
