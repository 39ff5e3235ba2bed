/**
 * Where things run: everything that relays on one core, the load on another, for every contender alike; on loopback,
 * or in network namespaces of our own. Ends everything that was started in it.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Context, Script, Secured } from './contender.ts'
import { linesOf } from './lines.ts'
import { which } from './machine.ts'

/** How a place differs from loopback. */
export interface PlaceOptions {
  /** The relay's address; default 127.0.0.1. */
  readonly relayHost?: string
  /** The service's address; default 127.0.0.1. */
  readonly loadHost?: string
  /** The network namespace of the relay; default: this one. */
  readonly relayNamespace?: string
  /** The network namespace of the load. */
  readonly loadNamespace?: string
  /** Nothing is pinned to a core. */
  readonly unpinned?: boolean
  /** How often to look whether a port accepts connections, in ms. Default 50. */
  readonly pollMs?: number
}

const live = new Set<Place>()
process.on('exit', () => {
  for (const place of live) place.end()
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))

/** A place to measure in. `end()` it. */
export class Place {
  readonly relayHost: string
  readonly loadHost: string
  readonly #options: PlaceOptions
  readonly #ends: (() => void)[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  #folders = 0

  constructor(options: PlaceOptions = {}) {
    this.#options = options
    this.relayHost = options.relayHost ?? '127.0.0.1'
    this.loadHost = options.loadHost ?? '127.0.0.1'
    this.onEnd(() => rmSync(this.#folder, { recursive: true, force: true }))
    live.add(this)
  }

  /** Called, the newest first, when the place ends. */
  onEnd(callback: () => void): void {
    this.#ends.push(callback)
  }

  /** Ends all that runs in it. */
  end(): void {
    while (this.#ends.length > 0) this.#ends.pop()?.()
    live.delete(this)
  }

  /** A command on the load's core. */
  onLoadCore(words: readonly string[]): string[] {
    return this.#in(this.#options.loadNamespace, cpus().length > 1 ? 1 : 0, words)
  }

  /** A command on the relay's core. */
  onRelayCore(words: readonly string[]): string[] {
    return this.#in(this.#options.relayNamespace, 0, words)
  }

  /** What puts a command before all others on its core; nothing for an ordinary user. */
  urgently(): string[] {
    return process.getuid?.() === 0 && which('chrt') !== undefined ? ['chrt', '-f', '10'] : []
  }

  /** What a contender is started with. */
  context(backendPort: number, secured?: Secured): Context {
    this.#folders += 1
    const folder = mkdtempSync(join(this.#folder, `${this.#folders}-`))
    return {
      backend: { host: this.loadHost, port: backendPort },
      ...(secured === undefined ? {} : { secured }),
      host: this.relayHost,
      folder,
      spawn: (command, args, options) => this.#spawn(folder, command, args, options),
      script: (file, args, environment) => this.#script(file, args, environment),
      freePort: () => this.#freePort(),
      awaitPort: (port) => this.#awaitPort(port),
    }
  }

  #in(namespace: string | undefined, core: number, words: readonly string[]): string[] {
    const free = this.#options.unpinned === true || which('taskset') === undefined
    const pinned = free ? [...words] : ['taskset', '-c', String(core), ...words]
    return namespace === undefined ? pinned : ['ip', 'netns', 'exec', namespace, ...pinned]
  }

  #spawn(folder: string, command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const log = openSync(join(folder, 'output.log'), 'a')
    const [program = '', ...words] = this.onRelayCore([command, ...args])
    const child = spawn(program, words, { cwd: folder, stdio: ['ignore', log, log], ...options })
    this.#endWith(child)
    return child
  }

  async #script(file: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Script> {
    const path = fileURLToPath(new URL(`../${file}`, import.meta.url))
    const loader = file.endsWith('.ts') ? ['--import', 'tsx'] : []
    const [program = '', ...words] = this.onRelayCore([process.execPath, '--expose-gc', ...loader, path, ...args])
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...environment } })
    this.#endWith(child)
    const { stdin, stdout } = child
    stdin.on('error', () => {})
    const lines = linesOf(stdout)
    const next = async (): Promise<string> => {
      const line = await lines.next()
      if (line === undefined) throw new Error(`${file} ${args.join(' ')} has ended`)
      return line
    }
    const hello = await next()
    return {
      pid: child.pid ?? 0,
      hello,
      ask: (line) => {
        stdin.write(`${line}\n`)
        return next()
      },
    }
  }

  /** What the contender started last has printed. */
  #lastOutput(): string {
    const name = readdirSync(this.#folder).find((entry) => entry.startsWith(`${this.#folders}-`)) ?? ''
    const file = join(this.#folder, name, 'output.log')
    return existsSync(file) ? readFileSync(file, 'utf8').trim().slice(-500) : ''
  }

  #endWith(child: ChildProcess): void {
    child.on('error', (error) => process.stderr.write(`bench: ${error.message}\n`))
    this.onEnd(() => {
      child.kill('SIGKILL')
      child.unref()
    })
  }

  async #freePort(): Promise<number> {
    if (this.#options.relayNamespace !== undefined) return 20_000 + Math.floor(Math.random() * 10_000)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, this.relayHost, resolve))
    const address = server.address()
    await new Promise((resolve) => server.close(resolve))
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  async #awaitPort(port: number): Promise<void> {
    const limit = Date.now() + 15_000
    while (!(await this.#accepts(port))) {
      if (Date.now() > limit) throw new Error(`nothing accepts at ${this.relayHost}:${port}: ${this.#lastOutput()}`)
      await new Promise((resolve) => setTimeout(resolve, this.#options.pollMs ?? 50))
    }
  }

  async #accepts(port: number): Promise<boolean> {
    if (this.#options.loadNamespace !== undefined) {
      const probe = `exec 3<>/dev/tcp/${this.relayHost}/${port}`
      try {
        execFileSync('ip', ['netns', 'exec', this.#options.loadNamespace, 'bash', '-c', probe], { stdio: 'ignore' })
        return true
      } catch {
        return false
      }
    }
    return new Promise((resolve) => {
      const socket = connect(port, this.relayHost)
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
      socket.on('connect', () => socket.destroy())
    })
  }
}
