import { strict as assert } from 'node:assert'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { CleanUp } from '../../contract/harness/door.ts'
import { eventually, within } from '../../contract/harness/wait.ts'
import { authority } from './hostile.ts'

const patience = 60_000
const folder = mkdtempSync(join(tmpdir(), 'mr-tls-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** A file of this test's run. */
export function file(name: string, contents?: string | Uint8Array): string {
  const path = join(folder, name)
  if (contents !== undefined) writeFileSync(path, contents)
  return path
}

/** The authority's certificate, and the papers of localhost, as files. */
export const papers = {
  ca: file('ca.pem', authority.ca),
  cert: file('cert.pem', authority.localhost.cert),
  key: file('key.pem', authority.localhost.key),
}

/** Why a program can't be used here; '' when it can. Where everything must run, a missing one is a failure. */
export function missing(program: string, args: readonly string[]): string {
  const { error, status } = spawnSync(program, args, { stdio: 'ignore', timeout: patience })
  return error === undefined && status === 0 ? '' : `there is no working ${program} here`
}

/** For the `skip` option of a test; fails in CI instead. Go alone is nowhere asked for. */
export function without(reason: string, optional = false): false | string {
  if (reason === '') return false
  assert.ok(optional || process.env['CI'] !== 'true', reason)
  return reason
}

/** A program that runs, with what it prints. */
export class Program {
  readonly process: ChildProcess
  out: Buffer = Buffer.alloc(0)
  err = ''
  /** Its exit code, or its signal. */
  readonly ended: Promise<number | string>

  constructor(t: CleanUp, program: string, args: readonly string[], input?: Uint8Array | 'open') {
    this.process = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    const { stdin, stdout, stderr } = this.process
    stdin?.on('error', () => undefined)
    stdout?.on('data', (part: Buffer) => {
      this.out = Buffer.concat([this.out, part])
    })
    stderr?.on('data', (part: Buffer) => {
      this.err += part.toString()
    })
    if (input === undefined) stdin?.end()
    else if (input !== 'open') stdin?.write(input)
    this.ended = new Promise((resolve) => {
      this.process.once('close', (code, signal) => resolve(code ?? String(signal)))
      this.process.once('error', (error) => resolve(error.message))
    })
    t.after(async () => {
      this.process.kill('SIGKILL')
      await this.ended
    })
  }

  /** Waits until it has printed what matches. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null
    await eventually(
      () => `${pattern} in: ${this.out.subarray(0, 2_000).toString()} ${this.err}`,
      () => {
        found = pattern.exec(this.out.toString('latin1'))
        return found !== null
      },
      patience,
    )
    assert.ok(found !== null)
    return found
  }

  /** Waits for its good end. */
  async done(): Promise<void> {
    const code = await within(this.ended, 'the end of the program', patience)
    assert.equal(code, 0, this.err)
  }
}

/** What peer.go and peer.py say they saw. */
export interface Report {
  readonly sha256: string
  readonly bytes: number
  readonly version: string
  readonly suite: string
  readonly protocol: string
  readonly name: string
  readonly resumed: boolean
}

/** Reads the last line that it printed. */
export function reportOf(program: Program): Report {
  const line = program.out.toString().trim().split('\n').at(-1) ?? ''
  return JSON.parse(line) as Report
}

/** A file beside this one. */
export function source(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}

let built: Promise<string> | undefined

/** The Go peer, built once. */
export function goPeer(): Promise<string> {
  built ??= promisify(execFile)('go', ['build', '-o', file('go-peer'), source('peer.go')], {
    env: { ...process.env, GO111MODULE: 'off', GOTOOLCHAIN: 'local', GOPROXY: 'off', GOFLAGS: '' },
    timeout: 240_000,
  }).then(() => file('go-peer'))
  return built
}
