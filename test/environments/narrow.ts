import { strict as assert } from 'node:assert'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { DataPlaneStats } from '../../src/dataplane/stats.ts'

/** What narrow.mjs says of itself. */
export interface NarrowState extends Pick<DataPlaneStats, 'joins' | 'endpoints' | 'pipes' | 'spliceFallbacks'> {
  /** Endpoints that its listener has delivered. */
  readonly accepted: number
  /** Visitors that its listener has refused. */
  readonly refused: number
  /** Dials that failed, by errno's name. */
  readonly dialErrors: Readonly<Record<string, number>>
  /** Files that it holds to use descriptors up. */
  readonly hogged: number
  /** CPU time so far, ms. */
  readonly cpuMs: number
}

/** narrow.mjs in a process that may have 64 descriptors. It ends with its test. */
export class NarrowProxy {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  /** Starts it; `service` is the port on loopback that it proxies to. */
  static async start(t: TestContext, service: number, workers: string): Promise<NarrowProxy> {
    const program = fileURLToPath(new URL('narrow.mjs', import.meta.url))
    const limited = ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, program, String(service)]
    const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '', MILLRACE_WORKERS: workers }
    const child = spawn('/bin/sh', limited, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    t.after(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    })
    return new NarrowProxy(child, Number(await answer(child)))
  }

  /** Asks it for something, and resolves with its state afterwards. */
  async ask(request: 'state' | 'hog' | 'release'): Promise<NarrowState> {
    const state = answer(this.#child)
    this.#child.send(request)
    return (await state) as NarrowState
  }

  /** The CPU time that it takes in the next `ms`, as a share of them. */
  async cpuShare(ms: number): Promise<number> {
    const before = await this.ask('state')
    const began = performance.now()
    await new Promise((resolve) => setTimeout(resolve, ms))
    const after = await this.ask('state')
    return (after.cpuMs - before.cpuMs) / (performance.now() - began)
  }
}

/** The child's next message; rejects when it ends instead. */
function answer(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null): void => {
      reject(new assert.AssertionError({ message: `the proxy ended: ${code ?? signal}` }))
    }
    child.once('exit', onExit)
    child.once('message', (message: unknown) => {
      child.off('exit', onExit)
      resolve(message)
    })
  })
}
