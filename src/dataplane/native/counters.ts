import type { Path, PerDirection } from '../types.ts'
import type { Addon } from './addon.ts'

/** Words of one cell, CounterCell in native/engine/client.h. */
const cellWords = 8
const cellsPerChunk = 256

/** The live counters of one join, written by its worker and read here without a call. */
export class CounterCell {
  readonly chunk: number
  readonly index: number
  readonly #words: BigUint64Array

  constructor(chunk: number, index: number, words: BigUint64Array) {
    this.chunk = chunk
    this.index = index
    this.#words = words
  }

  get bytes(): PerDirection<bigint> {
    return { aToB: this.#words[0] ?? 0n, bToA: this.#words[1] ?? 0n }
  }

  get path(): PerDirection<Path> {
    const bits = Number(this.#words[4] ?? 0n)
    return { aToB: (bits & 1) === 0 ? 'copy' : 'splice', bToA: (bits & 2) === 0 ? 'copy' : 'splice' }
  }

  /** Back to zero, while nobody writes to it. */
  clear(): void {
    this.#words.fill(0n)
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
      this.#free.push(new CounterCell(chunk, index, memory.subarray(index * cellWords, (index + 1) * cellWords)))
    }
    return this.take()
  }

  giveBack(cell: CounterCell): void {
    cell.clear()
    this.#free.push(cell)
  }
}
