/** Tunnels for HTTP: visitors reach the relay's web port and are told apart by the name that they ask for. */
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { join } from 'node:path'
import type { Contender, Context, Running } from '../lib/contender.ts'
import { cli } from './millrace.ts'
import { makeCertificate, makeToken, startPair, writeLines, writeRelayConfig } from './tunnel-parts.ts'

const name = 'bench.localhost'
/** How long a tunnel may take to come up, ms. */
const limitMs = 15_000

async function millrace(context: Context, plain: boolean): Promise<Running> {
  const { host, backend, folder } = context
  const [control, web] = [await context.freePort(), await context.freePort()]
  const { certificate, key } = makeCertificate(context)
  const token = makeToken()
  const sha256 = createHash('sha256').update(token).digest('hex')
  const address = `${host}:${control}`
  const common = ['--log-level', 'error']
  const relay = ['--tunnel-addr', address, '--http-addr', `${host}:${web}`, '--domain', 'localhost']
  const files = ['--state-dir', join(folder, 'state'), '--tls-cert', certificate, '--tls-key', key]
  const config = ['--config', writeRelayConfig(context)]
  const known = ['--token-sha256', sha256, ...(plain ? ['--allow-plain'] : [])]
  const agent = [`${backend.host}:${backend.port}`, '--relay', address, '--subdomain', 'bench', '--ca', certificate]
  const ours = Object.entries(process.env).filter(([variable]) => variable.startsWith('MILLRACE_'))
  const { pids } = await startPair(
    context,
    { control, tunnel: web },
    [process.execPath, cli, 'relay', ...config, ...relay, ...files, ...known, ...common],
    [process.execPath, cli, 'http', ...agent, ...(plain ? ['--plain'] : []), ...common],
    { ...Object.fromEntries(ours), MILLRACE_TOKEN: token },
  )
  return answering(host, { port: web, pids, name })
}

async function frp(context: Context): Promise<Running> {
  const { host, backend } = context
  const [control, web] = [await context.freePort(), await context.freePort()]
  const common = [`auth.token = "${makeToken()}"`, 'log.level = "error"']
  const frps = writeLines(context, 'frps.toml', [
    `bindAddr = "${host}"`,
    `bindPort = ${control}`,
    `vhostHTTPPort = ${web}`,
    ...common,
  ])
  const frpc = writeLines(context, 'frpc.toml', [
    `serverAddr = "${host}"`,
    `serverPort = ${control}`,
    ...common,
    '[[proxies]]',
    'name = "bench"',
    'type = "http"',
    `localIP = "${backend.host}"`,
    `localPort = ${backend.port}`,
    `customDomains = ["${name}"]`,
  ])
  const { pids } = await startPair(context, { control, tunnel: web }, ['frps', '-c', frps], ['frpc', '-c', frpc])
  return answering(host, { port: web, pids, name })
}

async function ngrok(context: Context): Promise<Running> {
  const { host, backend } = context
  const [control, web] = [await context.freePort(), await context.freePort()]
  const { certificate, key } = makeCertificate(context)
  const config = writeLines(context, 'ngrok.yml', [
    `server_addr: "${host}:${control}"`,
    'inspect_addr: disabled',
    'tunnels:',
    '  bench:',
    '    subdomain: bench',
    '    proto:',
    `      http: "${backend.host}:${backend.port}"`,
  ])
  const address = ['-tunnelAddr', `${host}:${control}`, '-httpAddr', `${host}:${web}`, '-httpsAddr=']
  const tls = ['-tlsCrt', certificate, '-tlsKey', key]
  const { pids } = await startPair(
    context,
    { control, tunnel: web },
    ['ngrokd', ...address, '-domain', 'localhost', ...tls, '-log', 'none'],
    ['ngrok', '-config', config, '-log', 'stdout', '-log-level', 'ERROR', 'start', 'bench'],
  )
  // It knows its tunnels by name and port.
  return answering(host, { port: web, pids, name: `${name}:${web}` })
}

/** Resolves once the service answers through the tunnel: the web port is open before there is one. */
async function answering(host: string, running: Running & { readonly name: string }): Promise<Running> {
  const due = Date.now() + limitMs
  for (;;) {
    const status = await statusOf(host, running.port, running.name)
    if (status === 200) return running
    if (Date.now() > due) throw new Error(`no answer through the tunnel: status ${status}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function statusOf(host: string, port: number, name: string): Promise<number> {
  return new Promise((resolve) => {
    const asked = request({ host, port, agent: false, headers: { Host: name } }, (answer) => {
      answer.resume().on('close', () => resolve(answer.statusCode ?? 0))
    })
    asked.on('error', () => resolve(0)).end()
  })
}

/** HTTP tunnels, ours first. */
export const httpTunnels: readonly Contender[] = [
  {
    name: 'millrace-http',
    kind: 'http-tunnel',
    note: 'our relay and agent as they come, an http tunnel: TLS between them (ECDSA P-256, checked)',
    programs: ['openssl'],
    start: (context) => millrace(context, false),
  },
  {
    name: 'millrace-http-plain',
    kind: 'http-tunnel',
    note: 'the same with `--allow-plain` and `--plain`: no TLS on the connections that carry visitors',
    programs: ['openssl'],
    start: (context) => millrace(context, true),
  },
  {
    name: 'frp-http',
    kind: 'http-tunnel',
    note: 'frp as it comes, type http: one TLS connection that all visitors share',
    programs: ['frps', 'frpc'],
    start: frp,
  },
  {
    name: 'ngrok-http',
    kind: 'http-tunnel',
    note: 'ngrok 1.x, http, always TLS, its inspector off; with an ECDSA P-256 certificate',
    programs: ['ngrokd', 'ngrok', 'openssl'],
    start: ngrok,
  },
]
