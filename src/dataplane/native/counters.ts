import type { Path, PerDirection } from '../types.ts'
import type { Addon } from './addon.ts'

/** Words of one cell, CounterCell in native/engine/client.h. */
const cellWords = 8
const cellsPerChunk = 256

/** The live counters of one join, written by its worker and read here without a call. */
export class CounterCell {
  readonly chunk: number
  readonly index: number
  /** The whole chunk's: a view for each cell would weigh more than the cell. */
  readonly #words: BigUint64Array
  readonly #at: number

  constructor(chunk: number, index: number, words: BigUint64Array) {
    this.chunk = chunk
    this.index = index
    this.#words = words
    this.#at = index * cellWords
  }

  get bytes(): PerDirection<bigint> {
    const at = this.#at
    return { aToB: this.#words[at] ?? 0n, bToA: this.#words[at + 1] ?? 0n }
  }

  get path(): PerDirection<Path> {
    const bits = this.#words[this.#at + 4] ?? 0n
    return { aToB: (bits & 1n) === 0n ? 'copy' : 'splice', bToA: (bits & 2n) === 0n ? 'copy' : 'splice' }
  }

  /** Back to zero, while nobody writes to it. */
  clear(): void {
    this.#words.fill(0n, this.#at, this.#at + cellWords)
  }
}

/** All counter cells of an environment: shared memory in chunks that are never given back, cells used again. */
export class CounterCells {
  readonly #addon: Addon
  readonly #free: CounterCell[] = []

  constructor(addon: Addon) {
    this.#addon = addon
  }

  take(): CounterCell {
    const cell = this.#free.pop()
    if (cell !== undefined) return cell
    const memory = new BigUint64Array(new SharedArrayBuffer(cellsPerChunk * cellWords * 8))
    const chunk = this.#addon.cells(memory)
    for (let index = cellsPerChunk - 1; index >= 0; index -= 1) {
      this.#free.push(new CounterCell(chunk, index, memory))
    }
    return this.take()
  }

  giveBack(cell: CounterCell): void {
    cell.clear()
    this.#free.push(cell)
  }
}
