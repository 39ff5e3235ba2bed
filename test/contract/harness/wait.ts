import { setTimeout as sleep } from 'node:timers/promises'

/** How long anything may take before it counts as hanging, ms. Generous: it fails only on real faults. */
export const patienceMs = 30_000

/** The value of a promise, or a failure that says what was awaited once `ms` have passed. */
export async function within<T>(promise: Promise<T>, what: string, ms = patienceMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`still waiting after ${ms} ms: ${what}`))
    }, ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Looks every few milliseconds until `test` holds: for states that send no event. */
export async function eventually(what: string | (() => string), test: () => boolean, ms = patienceMs): Promise<void> {
  const end = performance.now() + ms
  while (!test()) {
    if (performance.now() > end) {
      throw new Error(`still not so after ${ms} ms: ${typeof what === 'string' ? what : what()}`)
    }
    await sleep(5)
  }
}

/** Resolves with a value once it has not changed for `quietMs`. */
export async function settled<T>(read: () => T, quietMs: number, ms = patienceMs): Promise<T> {
  const end = performance.now() + ms
  let last = read()
  let since = performance.now()
  while (performance.now() - since < quietMs) {
    if (performance.now() > end) throw new Error(`a value never came to rest: now ${String(last)}`)
    await sleep(10)
    const now = read()
    if (now !== last) {
      last = now
      since = performance.now()
    }
  }
  return last
}

/** Ends once every callback that is due has run: a few turns of the event loop. */
export async function turns(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }
}

export { sleep }
