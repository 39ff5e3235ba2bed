import { type StatSource, statKeys } from '../stats.ts'
import type { Addon } from './addon.ts'

const position: ReadonlyMap<string, number> = new Map(statKeys.map((key, index) => [key, index]))

/** What the engine's workers write about themselves into this environment's memory, read without a call. */
export class EngineStatistics {
  /** Whether splice worked when the engine tried it at its start. */
  readonly spliceWorks: boolean
  /** One for each worker thread. */
  readonly workers: readonly StatSource[]

  /** The addon is attached. */
  constructor(addon: Addon) {
    const shape = new Float64Array(3)
    addon.shape(shape)
    const [threads = 0, works = 0, rowWords = 0] = shape
    const memory = new BigUint64Array(new SharedArrayBuffer(threads * rowWords * 8))
    addon.statistics(memory)
    this.spliceWorks = works === 1
    this.workers = Array.from({ length: threads }, (_, index) => {
      const row = memory.subarray(index * rowWords, (index + 1) * rowWords)
      // The words behind those of the engine's stay 0.
      return (key) => Number(row[position.get(key) ?? -1] ?? 0n)
    })
  }
}
