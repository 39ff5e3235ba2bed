import type { Join } from '../dataplane/types.ts'

/** The live joins, so that a relay that is asked to stop can wait for them and then end them. */
export class JoinBook {
  readonly #live = new Set<Join>()

  /** Live joins. */
  get size(): number {
    return this.#live.size
  }

  add(join: Join): void {
    this.#live.add(join)
  }

  delete(join: Join): void {
    this.#live.delete(join)
  }

  /** Aborts all of them. */
  destroyAll(): void {
    for (const join of this.#live) join.destroy()
  }
}
