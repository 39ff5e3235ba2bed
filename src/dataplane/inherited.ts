import { closeSync } from 'node:fs'
import { MillraceError } from '../errors.ts'
import type { Address, InheritedSocket } from './types.ts'

/** A listening descriptor that has come from elsewhere, for the data plane that is to listen on it. */
export class Inherited implements InheritedSocket {
  readonly address: Address
  #fd: number

  /** Takes the descriptor over. */
  constructor(fd: number, address: Address) {
    this.#fd = fd
    this.address = address
  }

  /** The descriptor; -1 once it is used up or closed. */
  get fd(): number {
    return this.#fd
  }

  close(): void {
    const fd = this.release()
    if (fd >= 0) closeSync(fd)
  }

  /** Gives the descriptor up to the caller. */
  release(): number {
    const fd = this.#fd
    this.#fd = -1
    return fd
  }
}

/** For an object that only looks like one. */
export function foreignSocket(): MillraceError {
  return new MillraceError('ERR_OPTION', 'listen: the inherited socket was not made here')
}
