/** The lines that a process prints. */
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

/** Lines as they come. */
export interface Lines {
  /** The next line; undefined: there are no more. */
  next(): Promise<string | undefined>
}

/** Reads `input` line by line; lines that nobody awaits yet are kept. */
export function linesOf(input: Readable): Lines {
  const iterator = createInterface({ input })[Symbol.asyncIterator]()
  return {
    next: async () => {
      const line = await iterator.next()
      return line.done === true ? undefined : line.value
    },
  }
}
