import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How a program ended, what it wrote, and what it sent. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Far above what any takes: only a hang meets it. It is then killed, which shows in `signal`. */
const limitMs = 120_000

/**
 * Forks a program of this folder and waits for its end. It is sent `signal`, if one is given, with its first message.
 */
export async function runProgram(
  file: string,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
  signal?: NodeJS.Signals,
): Promise<Ending> {
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '', ...environment }
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, { env, execArgv: [], silent: true })
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  const written = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      written[name] += text
    })
  }
  if (signal !== undefined) child.once('message', () => child.kill(signal))
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, killedBy) => {
      clearTimeout(timer)
      resolve({ code, signal: killedBy, ...written })
    })
  })
}

/** Runs jobs, a few at a time; resolves with what each returned. */
export async function inLanes<T>(jobs: readonly (() => Promise<T>)[], lanes: number): Promise<readonly T[]> {
  const waiting = [...jobs.entries()]
  const results: T[] = []
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) results[next[0]] = await next[1]()
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return results
}
