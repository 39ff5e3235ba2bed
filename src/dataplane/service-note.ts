import { errnoName } from './native/core.ts'
import { loadAddon } from './native/load.ts'
import type { DataPlane } from './types.ts'

/**
 * Sends one datagram to a unix socket: a path, or `@` and an abstract name (unix(7)). Returns '' or why not: errno's
 * name, or `no addon`, without which Node has no unix datagrams.
 */
export function sendNote(address: string, text: string): string {
  const loaded = loadAddon()
  if (loaded.state !== 'loaded') return 'no addon'
  return errnoName(-loaded.addon.notify(address, Buffer.from(text)))
}

/**
 * Tells whether all of a data plane's threads make turns: each call says whether they have since the one before, and asks
 * them for another. The first says yes.
 */
export class Pulse {
  readonly #dataPlane: DataPlane
  #turns: readonly number[] = []

  constructor(dataPlane: DataPlane) {
    this.#dataPlane = dataPlane
  }

  /** False: at least one thread has made no turn since the last call, though it was woken. */
  beats(): boolean {
    if (this.#dataPlane.kind !== 'native') return true
    const loaded = loadAddon()
    if (loaded.state !== 'loaded') return true
    const workers = this.#dataPlane.stats().workers.filter(({ name }) => name.startsWith('engine-'))
    const now = workers.map(({ turns }) => turns)
    const alive = now.every((turns, index) => turns !== this.#turns[index])
    this.#turns = now
    // There is no such listener: all that it does is to wake every worker.
    loaded.addon.unlisten(0, false)
    return alive
  }
}
