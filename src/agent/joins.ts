import type { Join } from '../dataplane/types.ts'

/** The live joins of an agent. They outlive the session that brought them. */
export class Joins {
  readonly #live = new Set<Join>()
  readonly #onChange: () => void
  #total = 0
  #whenEmpty: (() => void) | undefined

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** Joins that run now. */
  get open(): number {
    return this.#live.size
  }

  /** Joins so far, the running ones included. */
  get total(): number {
    return this.#total
  }

  /** A join has begun. */
  add(join: Join): void {
    this.#live.add(join)
    this.#total += 1
    this.#onChange()
  }

  /** A join has ended. */
  delete(join: Join): void {
    if (!this.#live.delete(join)) return
    this.#onChange()
    if (this.#live.size === 0) this.#whenEmpty?.()
  }

  /** Resolves when no join runs any more, at the latest after `graceMs`; then what still runs is aborted. */
  async drain(graceMs: number): Promise<void> {
    if (this.#live.size > 0 && graceMs > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs)
        this.#whenEmpty = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    for (const join of this.#live) join.destroy()
  }
}
