/** What the figures were measured on. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { delimiter, join } from 'node:path'

/** The machine, in the words that a reader needs to judge the figures. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly congestionControl: string
  readonly node: string
  readonly versions: Readonly<Record<string, string>>
}

/** The path of a program on PATH; undefined: it isn't there. */
export function which(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file))
}

function firstLine(program: string, ...args: readonly string[]): string | undefined {
  if (which(program) === undefined) return undefined
  try {
    const output = execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1', program, ...args], {
      encoding: 'utf8',
      timeout: 5_000,
    })
    const lines = output.split('\n').filter((line) => /\d\.\d/.test(line))
    // rathole says when it was built before it says what it is.
    return (lines.find((line) => /version/i.test(line)) ?? lines[0])?.trim().replace(/\s+/g, ' ').slice(0, 80)
  } catch {
    return 'unknown'
  }
}

const versionCalls: Readonly<Record<string, readonly string[]>> = {
  haproxy: ['-v'],
  nginx: ['-v'],
  frps: ['--version'],
  rathole: ['--version'],
  bore: ['--version'],
  chisel: ['--version'],
  ngrokd: ['-h'],
  openssl: ['version'],
  autocannon: ['--version'],
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}

/** Looks at this machine. */
export function readMachine(): Machine {
  const versions = Object.entries(versionCalls).flatMap(([program, args]) => {
    const line = firstLine(program, ...args)
    return line === undefined ? [] : [[program, line] as const]
  })
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: text('/proc/sys/kernel/osrelease'),
    congestionControl: text('/proc/sys/net/ipv4/tcp_congestion_control'),
    node: process.version,
    versions: Object.fromEntries(versions),
  }
}

/** The commit that is measured, with `+` behind it when the checkout differs from it. */
export function readCommit(root: string): string {
  const git = (...args: readonly string[]): string =>
    execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return (
      git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain', '--', 'src', 'native') === '' ? '' : '+')
    )
  } catch {
    return 'unknown'
  }
}
