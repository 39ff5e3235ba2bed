/** Our own relay and agent, as built (`dist`). */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Contender, Context, Running } from '../lib/contender.ts'
import { makeCertificate, makeToken, startPair, writeRelayConfig } from './tunnel-parts.ts'

/** Our command line, as built. */
export const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

async function millrace(context: Context, plain: boolean): Promise<Running> {
  if (!existsSync(cli)) throw new Error(`${cli} is not there: npm run build`)
  const { host, backend, folder } = context
  const [control, tunnel] = [await context.freePort(), await context.freePort()]
  const token = makeToken()
  // Not the relay's own, which is for 127.0.0.1 only; of the same kind.
  const { certificate, key } = makeCertificate(context)
  const sha256 = createHash('sha256').update(token).digest('hex')
  const address = `${host}:${control}`
  const common = ['--log-level', 'error']
  const relay = ['--tunnel-addr', address, '--domain', 'millrace.localhost', '--token-sha256', sha256]
  const config = ['--config', writeRelayConfig(context)]
  const files = ['--state-dir', join(folder, 'state'), '--tls-cert', certificate, '--tls-key', key]
  const agent = [`${backend.host}:${backend.port}`, '--relay', address, '--remote-port', String(tunnel)]
  const ours = Object.entries(process.env).filter(([name]) => name.startsWith('MILLRACE_'))
  return startPair(
    context,
    { control, tunnel },
    [process.execPath, cli, 'relay', ...config, ...relay, ...files, ...(plain ? ['--allow-plain'] : []), ...common],
    [process.execPath, cli, 'tcp', ...agent, '--ca', certificate, ...(plain ? ['--plain'] : []), ...common],
    { ...Object.fromEntries(ours), MILLRACE_TOKEN: token },
  )
}

/** Our tunnel as it comes, and with plain proxy connections. */
export const millraceContenders: readonly Contender[] = [
  {
    name: 'millrace',
    kind: 'tunnel',
    note: 'our relay and agent as they come: TLS between them (ECDSA P-256, checked), a connection per visitor',
    programs: ['openssl'],
    start: (context) => millrace(context, false),
  },
  {
    name: 'millrace-plain',
    kind: 'tunnel',
    note: 'the same with `--allow-plain` and `--plain`: no TLS on the connections that carry visitors',
    programs: ['openssl'],
    start: (context) => millrace(context, true),
  },
]
