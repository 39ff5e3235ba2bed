import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { within } from '../agent/events.ts'
import { stateHome } from '../support/state-home.ts'

/** How a process ended, and what it said. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs the command line from the sources to its end. */
export async function millrace(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], {
    cwd: root,
    env: { ...process.env, ...stateHome, MILLRACE_TOKEN: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  try {
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    return { code: await within(ended, `millrace ${args.join(' ')} to end`, 60_000), stdout, stderr }
  } finally {
    child.kill('SIGKILL')
  }
}
