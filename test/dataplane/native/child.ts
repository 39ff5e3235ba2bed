import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** How a child process ended, and what it wrote. */
export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Far above what any child takes: only a hang meets it. It is then killed, which shows in `signal`. */
const limitMs = 60_000

/** Runs a TypeScript file of this folder, or at an absolute path, to its end. */
export async function runChild(
  file: string,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const child = startChild(file, args, environment)
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (text: Buffer) => {
    stdout += text.toString()
  })
  child.stderr?.on('data', (text: Buffer) => {
    stderr += text.toString()
  })
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr })
    })
  })
}

/** Starts one, with pipes. */
export function startChild(
  file: string,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  const path = file.startsWith('/') ? file : fileURLToPath(new URL(file, import.meta.url))
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '', ...environment }
  return spawn(process.execPath, ['--import', 'tsx', path, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] })
}

/** Resolves with the first line that a child writes. */
export function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    if (child.stdout === null) throw new Error('the child has no stdout')
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('exit', (code, signal) => reject(new Error(`the child ended first: ${code ?? signal}`)))
  })
}
