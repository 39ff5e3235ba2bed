/**
 * What the caller asks of an endpoint whose join has been made and can't begin yet: kept, and done in its order as soon
 * as the join has begun, so that it counts as part of it.
 */
export class HeldCalls {
  #calls: (() => void)[] = []

  push(call: () => void): void {
    this.#calls.push(call)
  }

  /** The result that the call will have had. */
  later<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#calls.push(() => void call().then(resolve, reject))
    })
  }

  run(): void {
    const calls = this.#calls
    this.#calls = []
    for (const call of calls) call()
  }
}
