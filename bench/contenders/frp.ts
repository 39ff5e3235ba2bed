/** frp: frps and frpc. */
import type { Contender, Context, Running } from '../lib/contender.ts'
import { makeCertificate, makeToken, startPair, writeLines } from './tunnel-parts.ts'

/** Settings of one configuration, as lines of TOML. */
interface Settings {
  readonly relay: readonly string[]
  readonly agent: readonly string[]
}

async function frp(context: Context, { relay, agent }: Settings): Promise<Running> {
  const { host, backend } = context
  const [control, tunnel] = [await context.freePort(), await context.freePort()]
  const common = [`auth.token = "${makeToken()}"`, 'log.level = "error"']
  const frps = writeLines(context, 'frps.toml', [`bindAddr = "${host}"`, `bindPort = ${control}`, ...common, ...relay])
  const frpc = writeLines(context, 'frpc.toml', [
    `serverAddr = "${host}"`,
    `serverPort = ${control}`,
    ...common,
    ...agent,
    '[[proxies]]',
    'name = "bench"',
    'type = "tcp"',
    `localIP = "${backend.host}"`,
    `localPort = ${backend.port}`,
    `remotePort = ${tunnel}`,
  ])
  return startPair(context, { control, tunnel }, ['frps', '-c', frps], ['frpc', '-c', frpc])
}

const noMux = 'transport.tcpMux = false'
/** As many as frps lets an agent keep unless told otherwise. */
const pool = 'transport.poolCount = 5'

/** frp as it comes, at its leanest, and with the same kind of transport as ours. */
export const frpContenders: readonly Contender[] = [
  {
    name: 'frp',
    kind: 'tunnel',
    note: "frp as it comes: all visitors share one TLS connection (tcpMux; frps's own RSA 2048 certificate, which frpc does not check)",
    programs: ['frps', 'frpc'],
    start: (context) => frp(context, { relay: [], agent: [] }),
  },
  {
    name: 'frp-plain',
    kind: 'tunnel',
    note: 'frp at its leanest: no TLS, tcpMux off (a connection per visitor), five connections in advance; the counterpart of millrace-plain',
    programs: ['frps', 'frpc'],
    start: (context) => frp(context, { relay: [noMux], agent: [noMux, pool, 'transport.tls.enable = false'] }),
  },
  {
    name: 'frp-tls',
    kind: 'tunnel',
    note: 'frp with TLS, tcpMux off, five connections in advance, an ECDSA P-256 certificate that frpc checks; the counterpart of millrace',
    programs: ['frps', 'frpc', 'openssl'],
    start: (context) => {
      const { certificate, key } = makeCertificate(context)
      const files = [`transport.tls.certFile = "${certificate}"`, `transport.tls.keyFile = "${key}"`]
      const trust = [`transport.tls.trustedCaFile = "${certificate}"`, 'transport.tls.serverName = "localhost"']
      return frp(context, { relay: [noMux, ...files], agent: [noMux, pool, ...trust] })
    },
  },
]
