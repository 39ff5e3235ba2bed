/** rathole, whose one program is relay or agent by its configuration. */
import type { Contender, Context, Running } from '../lib/contender.ts'
import { makeCertificate, makeToken, startPair, writeLines } from './tunnel-parts.ts'

async function rathole(context: Context, secure: boolean): Promise<Running> {
  const { host, backend } = context
  const [control, tunnel] = [await context.freePort(), await context.freePort()]
  const token = `default_token = "${makeToken()}"`
  const transport = (role: string): string[] => [
    `[${role}.transport]`,
    `type = "${secure ? 'tls' : 'tcp'}"`,
    `[${role}.transport.tcp]`,
    'nodelay = true',
  ]
  const tls = secure ? makeCertificate(context) : undefined
  const identity = tls && ['[server.transport.tls]', `pkcs12 = "${tls.pkcs12}"`, `pkcs12_password = "${tls.password}"`]
  const trust = tls && ['[client.transport.tls]', `trusted_root = "${tls.certificate}"`, 'hostname = "localhost"']
  const relay = writeLines(context, 'server.toml', [
    '[server]',
    `bind_addr = "${host}:${control}"`,
    token,
    ...transport('server'),
    ...(identity ?? []),
    '[server.services.bench]',
    `bind_addr = "${host}:${tunnel}"`,
  ])
  const agent = writeLines(context, 'client.toml', [
    '[client]',
    `remote_addr = "${host}:${control}"`,
    token,
    ...transport('client'),
    ...(trust ?? []),
    '[client.services.bench]',
    `local_addr = "${backend.host}:${backend.port}"`,
  ])
  const quietly = { RUST_LOG: 'error' }
  return startPair(context, { control, tunnel }, ['rathole', '-s', relay], ['rathole', '-c', agent], quietly)
}

/** rathole plain and with TLS. */
export const ratholeContenders: readonly Contender[] = [
  {
    name: 'rathole',
    kind: 'tunnel',
    note: 'rathole over plain TCP with nodelay, a connection per visitor, eight in advance (fixed); the counterpart of millrace-plain',
    programs: ['rathole'],
    start: (context) => rathole(context, false),
  },
  {
    name: 'rathole-tls',
    kind: 'tunnel',
    note: 'the same over TLS (OpenSSL) with an ECDSA P-256 certificate that the agent checks; the counterpart of millrace',
    programs: ['rathole', 'openssl'],
    start: (context) => rathole(context, true),
  },
]
