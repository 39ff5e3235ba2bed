/** Resident memory of this process. */
import { readFileSync } from 'node:fs'

/** KiB resident, after two collections when Node runs with `--expose-gc`. */
export function residentKib(): number {
  const collect: unknown = Reflect.get(globalThis, 'gc')
  if (typeof collect === 'function') {
    Reflect.apply(collect, undefined, [])
    Reflect.apply(collect, undefined, [])
  }
  const line = /^VmRSS:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(line?.[1] ?? 0)
}
