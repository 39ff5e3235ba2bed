/** What /proc says of other processes. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

function sumOver(pids: readonly number[], read: (pid: number) => number): number {
  return pids.reduce((sum, pid) => sum + read(pid), 0)
}

/** Seconds on a CPU so far, all threads of all `pids`. Throws if one has ended. */
export function cpuSeconds(pids: readonly number[]): number {
  return sumOver(pids, (pid) =>
    readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
      const [ran] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')
      return sum + Number(ran) / 1e9
    }, 0),
  )
}

/** KiB resident, all `pids`. Throws if one has ended. */
export function residentKibOf(pids: readonly number[]): number {
  return sumOver(pids, (pid) =>
    Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN),
  )
}

/** Open descriptors of all `pids`, and how many of them are ends of pipes. Throws if one has ended. */
export function descriptorsOf(pids: readonly number[]): { all: number; pipeEnds: number } {
  const links = pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
      } catch {
        // Closed meanwhile.
        return []
      }
    }),
  )
  return { all: links.length, pipeEnds: links.filter((link) => link.startsWith('pipe:')).length }
}
