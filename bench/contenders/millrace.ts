/** Our own relay and agent, as built (`dist`). */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Contender, Context, Running } from '../lib/contender.ts'
import { makeCertificate, makeToken, startPair, writeRelayConfig } from './tunnel-parts.ts'

/** Our command line, as built. */
export const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** How the two of ours are to run. */
export interface How {
  /** Proxy connections without TLS. Default false. */
  readonly plain?: boolean
  /** Default true. */
  readonly lanes?: boolean
}

async function millrace(context: Context, { plain = false, lanes = true }: How): Promise<Running> {
  if (!existsSync(cli)) throw new Error(`${cli} is not there: npm run build`)
  const { host, backend, folder } = context
  const [control, tunnel] = [await context.freePort(), await context.freePort()]
  const token = makeToken()
  // Not the relay's own, which is for 127.0.0.1 only; of the same kind.
  const { certificate, key } = makeCertificate(context)
  const sha256 = createHash('sha256').update(token).digest('hex')
  const address = `${host}:${control}`
  const common = ['--log-level', 'error', ...(lanes ? [] : ['--no-lanes'])]
  const relay = ['--tunnel-addr', address, '--domain', 'millrace.localhost', '--token-sha256', sha256]
  const config = ['--config', writeRelayConfig(context)]
  const files = ['--state-dir', join(folder, 'state'), '--tls-cert', certificate, '--tls-key', key]
  const agent = [`${backend.host}:${backend.port}`, '--relay', address, '--remote-port', String(tunnel)]
  const settings = Object.entries(process.env).filter(([name]) => name.startsWith('MILLRACE_'))
  return startPair(
    context,
    { control, tunnel },
    [process.execPath, cli, 'relay', ...config, ...relay, ...files, ...(plain ? ['--allow-plain'] : []), ...common],
    [process.execPath, cli, 'tcp', ...agent, '--ca', certificate, ...(plain ? ['--plain'] : []), ...common],
    { ...Object.fromEntries(settings), MILLRACE_TOKEN: token },
  )
}

const ours = 'our relay and agent as they come: TLS between them (ECDSA P-256, checked), visitors on lanes'
const without = 'with `--no-lanes` on both sides: a connection per visitor'

const variants: readonly { readonly name: string; readonly note: string; readonly how: How }[] = [
  { name: 'millrace', note: ours, how: {} },
  {
    name: 'millrace-plain',
    note: 'the same with `--allow-plain` and `--plain`: no TLS on the connections that carry visitors',
    how: { plain: true },
  },
  { name: 'millrace-no-lanes', note: `millrace ${without}`, how: { lanes: false } },
  { name: 'millrace-plain-no-lanes', note: `millrace-plain ${without}`, how: { plain: true, lanes: false } },
]

/** How one of ours runs; undefined for any other contender. */
export function millraceHow(contender: string): How | undefined {
  return variants.find(({ name }) => name === contender)?.how
}

/** Our tunnel as it comes, with plain proxy connections, and both without lanes. */
export const millraceContenders: readonly Contender[] = variants.map(({ name, note, how }) => ({
  name,
  kind: 'tunnel',
  note,
  programs: ['openssl'],
  start: (context) => millrace(context, how),
}))
