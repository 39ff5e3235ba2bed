/** Tunnels in whole, relay and agent: ours and those of other projects, each in a configuration that is fair to it. */
import type { Contender, Context, Running } from '../lib/contender.ts'
import { frpContenders } from './frp.ts'
import { millraceContenders } from './millrace.ts'
import { ratholeContenders } from './rathole.ts'
import { makeCertificate, makeToken, startPair, writeLines } from './tunnel-parts.ts'

/** Where `bore server` listens for agents; it can't be told otherwise. */
const borePort = 7835

async function bore(context: Context): Promise<Running> {
  const { host, backend } = context
  const tunnel = await context.freePort()
  const target = ['--local-host', backend.host, String(backend.port)]
  return startPair(
    context,
    { control: borePort, tunnel },
    ['bore', 'server', '--bind-addr', host],
    ['bore', 'local', ...target, '--to', host, '--port', String(tunnel)],
    { RUST_LOG: 'error' },
  )
}

async function chisel(context: Context): Promise<Running> {
  const { host, backend } = context
  const [control, tunnel] = [await context.freePort(), await context.freePort()]
  return startPair(
    context,
    { control, tunnel },
    ['chisel', 'server', '--host', host, '--port', String(control), '--reverse'],
    ['chisel', 'client', `http://${host}:${control}`, `R:${host}:${tunnel}:${backend.host}:${backend.port}`],
    // chisel's own name for the credentials, on both ends.
    { AUTH: `bench:${makeToken()}` },
  )
}

async function ngrok(context: Context): Promise<Running> {
  const { host, backend } = context
  const [control, tunnel] = [await context.freePort(), await context.freePort()]
  const { certificate, key } = makeCertificate(context)
  const config = writeLines(context, 'ngrok.yml', [
    `server_addr: "${host}:${control}"`,
    'inspect_addr: disabled',
    'tunnels:',
    '  bench:',
    `    remote_port: ${tunnel}`,
    '    proto:',
    `      tcp: "${backend.host}:${backend.port}"`,
  ])
  const address = ['-tunnelAddr', `${host}:${control}`, '-httpAddr=', '-httpsAddr=', '-domain', 'localhost']
  const tls = ['-tlsCrt', certificate, '-tlsKey', key]
  return startPair(
    context,
    { control, tunnel },
    ['ngrokd', ...address, ...tls, '-log', 'none'],
    // Without a log on standard output the client wants a terminal.
    ['ngrok', '-config', config, '-log', 'stdout', '-log-level', 'ERROR', 'start', 'bench'],
  )
}

/** Every tunnel, ours first. */
export const tunnels: readonly Contender[] = [
  ...millraceContenders,
  ...frpContenders,
  ...ratholeContenders,
  {
    name: 'bore',
    kind: 'tunnel',
    note: 'bore as it comes: plain TCP (it has no TLS), a connection per visitor, no secret, which spares it two messages per visitor; it leaves Nagle on',
    programs: ['bore'],
    start: bore,
  },
  {
    name: 'chisel',
    kind: 'tunnel',
    note: 'chisel reverse tunnel as it comes: all visitors are channels of one SSH connection over a websocket, always encrypted; no TLS around it, which would encrypt twice',
    programs: ['chisel'],
    start: chisel,
  },
  {
    name: 'ngrok',
    kind: 'tunnel',
    note: 'ngrok 1.x, tcp, always TLS, a connection per visitor, one in advance; with an ECDSA P-256 certificate in place of its RSA 4096 one, which would only cost it time',
    programs: ['ngrokd', 'ngrok', 'openssl'],
    start: ngrok,
  },
]
