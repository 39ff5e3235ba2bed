import type { ClosedHow } from '../types.ts'

/** Tells whoever owns an endpoint that its peer has ended or reset: each once, whether it happened before or after. */
export class ClosedNotice {
  #callback: ((how: ClosedHow) => void) | undefined
  #news: ClosedHow | undefined

  /** What is to be told, and has not been. */
  get news(): ClosedHow | undefined {
    return this.#news
  }

  listen(callback: (how: ClosedHow) => void): void {
    this.#callback = callback
  }

  /** Nobody is told any more. */
  forget(): void {
    this.#callback = undefined
  }

  note(how: ClosedHow): void {
    this.#news = how
  }

  /** Calls back if there is anything to tell. */
  tell(): void {
    const callback = this.#callback
    const how = this.#news
    if (callback === undefined || how === undefined) return
    this.#news = undefined
    if (how === 'reset') this.#callback = undefined
    callback(how)
  }
}
