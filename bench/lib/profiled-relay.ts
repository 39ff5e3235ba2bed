/** Our relay and agent as built, the relay below a program that profiles it. */
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeToken, writeRelayConfig } from '../contenders/tunnel-parts.ts'
import type { Context } from './contender.ts'

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** A tunnel whose relay is being profiled. */
export interface ProfiledRelay {
  /** Of the TCP tunnel. */
  readonly tcpPort: number
  /** Of the HTTP front. */
  readonly httpPort: number
  readonly hostname: string
  /** The relay's own process. */
  readonly pid: number
  /**
   * Asks the relay to end; resolves once the profiler has written what it found. Rejects when it failed. `slowly`: a
   * visitor is kept, so that the relay waits for it and a profiler that writes at the signal gets the time to do so.
   */
  finish(slowly: boolean): Promise<void>
}

/** The process below `pid`, or itself, whose command line has `word`. */
function findBelow(pid: number, word: string): number | undefined {
  const file = (name: string): string => {
    const path = `/proc/${pid}/${name}`
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }
  const children = file(`task/${pid}/children`).split(' ').filter(Boolean).map(Number)
  const deeper = children.map((child) => findBelow(child, word)).find((found) => found !== undefined)
  return deeper ?? (file('cmdline').split('\0').includes(word) ? pid : undefined)
}

/** A visitor whose tunnel is up: the service has answered it. */
async function visit(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port })
  // An echo of one byte, bench/load/common.h, and that byte.
  const words = Buffer.alloc(17)
  words.write('E')
  words.writeBigUInt64LE(1n, 8)
  socket.write(words)
  await once(socket, 'data')
  // The relay resets it in the end.
  socket.on('error', () => {})
  return socket
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  if (child.exitCode !== 0) throw new Error(`the profiler ended with ${child.exitCode ?? child.signalCode}`)
}

/**
 * Starts a relay by `wrap`, which puts a profiler's command before it, and two agents: a TCP tunnel to the context's
 * backend, plain, and an HTTP tunnel to `httpTarget`.
 */
export async function startProfiledRelay(
  context: Context,
  httpTarget: number,
  wrap: (command: readonly string[]) => readonly string[],
): Promise<ProfiledRelay> {
  if (!existsSync(cli)) throw new Error(`${cli} is not there: npm run build`)
  const { host, backend, folder } = context
  const [control, tcpPort, httpPort] = [await context.freePort(), await context.freePort(), await context.freePort()]
  const token = makeToken()
  const address = `${host}:${control}`
  const domain = 'millrace.localhost'
  const env = { ...process.env, MILLRACE_TOKEN: token, NO_INSIGHT: '1', NO_UPDATE_NOTIFIER: '1' }
  const common = ['--log-level', 'error']
  const sha256 = createHash('sha256').update(token).digest('hex')
  const state = join(folder, 'state')
  const settings = ['--tunnel-addr', address, '--http-addr', `${host}:${httpPort}`, '--domain', domain, '--allow-plain']
  const config = ['--config', writeRelayConfig(context)]
  const relay = [
    process.execPath,
    cli,
    'relay',
    ...config,
    ...settings,
    '--token-sha256',
    sha256,
    '--state-dir',
    state,
    ...common,
  ]
  const [command = '', ...words] = wrap(relay)
  const profiler = context.spawn(command, words, { stdio: ['ignore', 'inherit', 'inherit'], env })
  await context.awaitPort(control)
  const pid = findBelow(profiler.pid ?? 0, cli)
  if (pid === undefined) throw new Error('the relay is not below its profiler')
  const trust = ['--relay', address, '--ca', join(state, 'relay.crt'), '--plain', ...common]
  const tcp = ['tcp', `${backend.host}:${backend.port}`, '--remote-port', String(tcpPort)]
  const http = ['http', String(httpTarget), '--subdomain', 'bench', '--proto', 'http']
  for (const agent of [tcp, http]) context.spawn(process.execPath, [cli, ...agent, ...trust], { env })
  await context.awaitPort(tcpPort)
  return {
    tcpPort,
    httpPort,
    hostname: `bench.${domain}`,
    pid,
    finish: async (slowly) => {
      const visitor = slowly ? await visit(host, tcpPort) : undefined
      process.kill(pid, 'SIGINT')
      await ended(profiler)
      visitor?.destroy()
    },
  }
}
