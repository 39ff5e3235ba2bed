import type { StatKey, StatSource } from '../stats.ts'
import type { Join, JoinResult } from '../types.ts'

/** What a data plane counts of its life on Node streams. */
export class StreamTally {
  readonly #counts = new Map<StatKey, number>()
  /** Live joins, whose bytes are theirs to know. */
  readonly #live = new Set<Join>()

  add(key: StatKey, n = 1): void {
    this.#counts.set(key, this.count(key) + n)
  }

  /** One of the counts, bytes of live joins left out. */
  count(key: StatKey): number {
    return this.#counts.get(key) ?? 0
  }

  joinBegun(join: Join): void {
    this.add('joins.begun')
    this.add('joins.now')
    this.#live.add(join)
  }

  joinOver(join: Join, result: JoinResult): void {
    this.add('joins.now', -1)
    this.add(`ended.${result.reason}`)
    this.#live.delete(join)
    this.add(`bytes.${result.path.aToB}`, Number(result.aToB))
    this.add(`bytes.${result.path.bToA}`, Number(result.bToA))
  }

  /** A join that ended before it could begin. */
  joinLost(result: JoinResult): void {
    this.add('joins.begun')
    this.add(`ended.${result.reason}`)
  }

  endpointBorn(): void {
    this.add('endpoints.born')
    this.add('endpoints.now')
  }

  endpointGone(): void {
    this.add('endpoints.now', -1)
  }

  /** All of it as it is now. */
  snapshot(): StatSource {
    const counts = new Map(this.#counts)
    for (const { bytes, path } of this.#live) {
      for (const [key, n] of [
        [path.aToB, bytes.aToB],
        [path.bToA, bytes.bToA],
      ] as const) {
        counts.set(`bytes.${key}`, (counts.get(`bytes.${key}`) ?? 0) + Number(n))
      }
    }
    return (key) => counts.get(key) ?? 0
  }
}
