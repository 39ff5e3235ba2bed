import { readFileSync } from 'node:fs'

/** Limits of the system that bound a data plane; undefined where this system doesn't tell. */
export interface SystemLimits {
  /** `fs.pipe-user-pages-soft`: pages of pipes that an unprivileged user may have at full size; 0 = no limit. pipe(7). */
  readonly pipePagesSoft: number | undefined
  /** The soft RLIMIT_NOFILE; Infinity = unlimited. */
  readonly openFiles: number | undefined
  /** `net.core.somaxconn`: the longest queue of pending connections. */
  readonly backlog: number | undefined
  /** OpenSSL's version inside this Node. */
  readonly openssl: string
}

/** Reads them, from /proc where there is one. */
export function readSystemLimits(): SystemLimits {
  return {
    pipePagesSoft: number('/proc/sys/fs/pipe-user-pages-soft'),
    openFiles: openFiles(),
    backlog: number('/proc/sys/net/core/somaxconn'),
    openssl: process.versions.openssl ?? 'unknown',
  }
}

function openFiles(): number | undefined {
  const soft = /^Max open files\s+(\S+)/m.exec(read('/proc/self/limits') ?? '')?.[1]
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

function number(file: string): number | undefined {
  const text = read(file)
  return text === undefined ? undefined : Number(text.trim())
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
