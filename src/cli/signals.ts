import { exitCodes } from './exit.ts'

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Calls `stop` on the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. Ctrl-C under npm and
 * shells can arrive twice within a moment (the terminal's and the parent's): those two are one.
 */
export function onStopSignals(stop: (signal: string) => void): { dispose(): void } {
  let firstAt = 0
  const handler = (signal: string): void => {
    if (firstAt === 0) {
      firstAt = performance.now()
      stop(signal)
    } else if (performance.now() - firstAt > 100) {
      process.exit(exitCodes.ok)
    }
  }
  for (const name of stopSignals) process.on(name, handler)
  return {
    dispose: () => {
      for (const name of stopSignals) process.off(name, handler)
    },
  }
}
