import type { DialTarget, ListenAddress } from './types.ts'

/**
 * The error for a unix path that has a NUL in it, undefined for all others: the system would see only what is before it,
 * or take the path for an abstract name. In Node's words, with code EINVAL; `call` is the system call's name.
 */
export function refusedPath(call: 'connect' | 'listen', target: DialTarget | ListenAddress): Error | undefined {
  if (!('path' in target && target.path.includes('\0'))) return undefined
  return Object.assign(new Error(`${call} EINVAL: a path can't contain NUL`), { code: 'EINVAL', syscall: call })
}
