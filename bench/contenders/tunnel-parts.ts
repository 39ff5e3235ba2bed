/** What the tunnels of other projects are set up with. */
import type { ChildProcess } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Context } from '../lib/contender.ts'

/** A secret that both ends share. */
export function makeToken(): string {
  return randomBytes(24).toString('base64url')
}

/** Writes a file of so many lines into the contender's folder, for its owner only; its path. */
export function writeLines(context: Context, name: string, lines: readonly string[]): string {
  const file = join(context.folder, name)
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
  return file
}

/** Settings for our relay without limits on how fast one address comes, as all of the load has one. Returns the path. */
export function writeRelayConfig(context: Context, limits: readonly string[] = []): string {
  const most = ['visitor_rate', 'failed_handshake_rate', 'joins_per_address'].map((key) => `${key}: 1000000`)
  return writeLines(context, 'relay.yaml', ['limits:', ...[...most, ...limits].map((line) => `  ${line}`)])
}

/** The process of a contender. Throws if it could not be started. */
export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} did not start`)
  return child.pid
}

/**
 * Starts a relay, waits until it accepts agents at `ports.control`, then starts the agent and waits for the tunnel's
 * port: an agent that comes too early gives up, or tries again much later. Beside PATH and HOME they get `env` and
 * nothing else, so that no proxy setting or token of the user's reaches them.
 */
export async function startPair(
  context: Context,
  ports: { readonly control: number; readonly tunnel: number },
  relay: readonly [string, ...string[]],
  agent: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv = {},
): Promise<{ readonly port: number; readonly pids: readonly number[] }> {
  const options = { env: { PATH: process.env['PATH'], HOME: context.folder, ...env } }
  const spawn = ([command, ...args]: readonly [string, ...string[]]): number =>
    pidOf(context.spawn(command, args, options))
  const relayPid = spawn(relay)
  await context.awaitPort(ports.control)
  const agentPid = spawn(agent)
  await context.awaitPort(ports.tunnel)
  return { port: ports.tunnel, pids: [relayPid, agentPid] }
}

/** Files of a certificate for `localhost` and the relay's address. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
  /** Both together, under `password`. */
  readonly pkcs12: string
  readonly password: string
}

/** Makes a self-signed ECDSA P-256 certificate, of the kind that our relay makes for itself; needs `openssl`. */
export function makeCertificate(context: Pick<Context, 'folder' | 'host'>): Certificate {
  const { folder, host } = context
  const [certificate, key, pkcs12] = [join(folder, 'cert.pem'), join(folder, 'key.pem'), join(folder, 'identity.pfx')]
  const password = makeToken()
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, PASSWORD: password } })
  }
  const names = ['-subj', '/CN=localhost', '-addext', `subjectAltName=DNS:localhost,IP:${host}`]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  openssl('req', '-x509', ...curve, '-nodes', '-days', '30', ...names, '-keyout', key, '-out', certificate)
  openssl('pkcs12', '-export', '-inkey', key, '-in', certificate, '-out', pkcs12, '-passout', 'env:PASSWORD')
  return { certificate, key, pkcs12, password }
}
