import type { ClosedHow } from '../types.ts'
import type { Port } from './port.ts'

/** The one callback that hears of a peer's FIN and of its reset, of each once. */
export class ClosedCall {
  #callback: ((how: ClosedHow) => void) | undefined
  #toldFin = false

  set(callback: (how: ClosedHow) => void): void {
    this.#callback = callback
  }

  forget(): void {
    this.#callback = undefined
  }

  /** Calls it if there is anything to tell. */
  tell(port: Port): void {
    const callback = this.#callback
    if (callback === undefined) return
    if (port.failure !== undefined) {
      this.#callback = undefined
      callback('reset')
    } else if (port.ended && !this.#toldFin) {
      this.#toldFin = true
      callback('fin')
    }
  }
}
