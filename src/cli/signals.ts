import { exitCodes } from './exit.ts'

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** What ends whoever follows a config file: SIGHUP means to read it again. */
export const followerStopSignals = ['SIGINT', 'SIGTERM'] as const

/** What signals do. */
export interface StopSignals {
  /** The first one. */
  readonly stop: (signal: string) => void
  /** The second one: whatever goes on still is to be cut off. The process ends soon after, if it hasn't by itself. */
  readonly cut: () => void
  /** Default SIGINT, SIGTERM, SIGHUP. */
  readonly signals?: readonly NodeJS.Signals[]
}

/** How long the process has to end after a second signal, ms. A third one ends it at once. */
const cutMs = 2_000

/**
 * Stops on the first signal and cuts on the second. Ctrl-C under npm and shells can arrive twice within a moment (the
 * terminal's and the parent's): those two are one.
 */
export function onStopSignals({ stop, cut, signals = stopSignals }: StopSignals): { dispose(): void } {
  let lastAt = Number.NEGATIVE_INFINITY
  let heard = 0
  const handler = (signal: string): void => {
    const now = performance.now()
    if (now - lastAt <= 100) return
    lastAt = now
    heard++
    if (heard === 1) stop(signal)
    else if (heard > 2) process.exit(exitCodes.ok)
    else {
      // Leaving it to the end of the process would end sockets in good order: a cut connection would pass for a whole one.
      setTimeout(() => process.exit(exitCodes.ok), cutMs).unref()
      cut()
    }
  }
  for (const name of signals) process.on(name, handler)
  return {
    dispose: () => {
      for (const name of signals) process.off(name, handler)
    },
  }
}
