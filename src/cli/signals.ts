import { exitCodes } from './exit.ts'

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** What ends whoever follows a config file: SIGHUP means to read it again. */
export const followerStopSignals = ['SIGINT', 'SIGTERM'] as const

/**
 * Calls `stop` on the first of the signals (default SIGINT, SIGTERM, SIGHUP); a second one ends the process at once. Ctrl-C under npm and
 * shells can arrive twice within a moment (the terminal's and the parent's): those two are one.
 */
export function onStopSignals(
  stop: (signal: string) => void,
  signals: readonly NodeJS.Signals[] = stopSignals,
): { dispose(): void } {
  let firstAt = 0
  const handler = (signal: string): void => {
    if (firstAt === 0) {
      firstAt = performance.now()
      stop(signal)
    } else if (performance.now() - firstAt > 100) {
      process.exit(exitCodes.ok)
    }
  }
  for (const name of signals) process.on(name, handler)
  return {
    dispose: () => {
      for (const name of signals) process.off(name, handler)
    },
  }
}
