/** Contenders that relay once: Node's own, our data planes, HAProxy and nginx. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender, Context, Running } from '../lib/contender.ts'
import { numberIn } from '../lib/load.ts'

async function proxy(name: string, context: Context): Promise<Running> {
  const { host, backend, secured } = context
  const tls = secured === undefined ? [] : [JSON.stringify(secured)]
  const script = await context.script('contenders/proxy.ts', [name, host, backend.host, String(backend.port), ...tls])
  return { port: numberIn(script.hello, 'port'), pids: [script.pid], script }
}

function ours(name: string, note: string): Contender {
  return { name, kind: 'hop', note, programs: [], start: (context) => proxy(name, context) }
}

async function haproxy(context: Context, splice: boolean): Promise<Running> {
  const port = await context.freePort()
  const file = join(context.folder, 'haproxy.cfg')
  const { host, backend, folder, secured } = context
  // HAProxy wants both in one file.
  const identity = join(folder, 'identity.pem')
  if (secured)
    writeFileSync(identity, readFileSync(secured.certificate, 'utf8') + readFileSync(secured.key, 'utf8'), {
      mode: 0o600,
    })
  const lines = [
    'global',
    '  nbthread 1',
    '  maxconn 9100',
    splice ? '  maxpipes 500' : '',
    'defaults',
    '  mode tcp',
    '  maxconn 9100',
    '  timeout connect 10s',
    '  timeout client 1h',
    '  timeout server 1h',
    splice ? '  option splice-auto' : '',
    `listen relay`,
    `  bind ${host}:${port} backlog 4096${secured?.visitor === true ? ` ssl crt ${identity} ssl-min-ver TLSv1.3` : ''}`,
    `  server service ${backend.host}:${backend.port}${secured?.service === true ? ' ssl verify none' : ''}`,
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const child = context.spawn('haproxy', ['-db', '-f', file])
  await context.awaitPort(port)
  return { port, pids: [child.pid ?? 0] }
}

async function nginx(context: Context): Promise<Running> {
  const port = await context.freePort()
  const file = join(context.folder, 'nginx.conf')
  const { host, backend, folder, secured } = context
  // nginx 1.22 has TLS 1.3 off unless told.
  const visitor = [
    `    ssl_certificate ${secured?.certificate};`,
    `    ssl_certificate_key ${secured?.key};`,
    '    ssl_protocols TLSv1.3;',
  ]
  const service = ['    proxy_ssl on;', '    proxy_ssl_protocols TLSv1.3;']
  const lines = [
    'load_module /usr/lib/nginx/modules/ngx_stream_module.so;',
    'daemon off;',
    // One process: its only worker is the master itself, so that all its CPU time is counted.
    'master_process off;',
    `pid ${folder}/nginx.pid;`,
    `error_log ${folder}/error.log crit;`,
    'worker_rlimit_nofile 20000;',
    'events { worker_connections 19000; multi_accept on; }',
    'stream {',
    '  access_log off;',
    '  server {',
    `    listen ${host}:${port} ${secured?.visitor === true ? 'ssl ' : ''}backlog=4096;`,
    ...(secured?.visitor === true ? visitor : []),
    ...(secured?.service === true ? service : []),
    `    proxy_pass ${backend.host}:${backend.port};`,
    '    proxy_timeout 1h;',
    '    tcp_nodelay on;',
    '  }',
    '}',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const child = context.spawn('nginx', ['-p', folder, '-e', join(folder, 'error.log'), '-c', file])
  await context.awaitPort(port)
  return { port, pids: [child.pid ?? 0] }
}

async function acceptDestroy(context: Context): Promise<Running> {
  const script = await context.script('contenders/handover.ts', ['accept-destroy', context.host])
  return { port: numberIn(script.hello, 'port'), pids: [script.pid], script }
}

/** Every contender with one hop, and none. */
export const hops: readonly Contender[] = [
  {
    name: 'direct',
    kind: 'direct',
    note: 'no relay: what the load programs and the kernel can do by themselves',
    programs: [],
    start: ({ backend }) => Promise.resolve({ port: backend.port, pids: [] }),
  },
  ours('node-pipe', 'net.createServer and a.pipe(b), both ways, with noDelay and half-open sockets'),
  ours('stream', 'our stream data plane (MILLRACE_DATAPLANE=stream)'),
  ours('copy', 'our native data plane, recv and send only (MILLRACE_DATAPLANE=copy)'),
  ours('splice', 'our native data plane, splice only (MILLRACE_DATAPLANE=splice)'),
  ours('adaptive', 'our native data plane as it comes: copy, and splice for what streams'),
  {
    name: 'haproxy',
    kind: 'hop',
    note: 'tcp mode, one thread, default buffers (16 KiB), no logs',
    programs: ['haproxy'],
    start: (context) => haproxy(context, false),
  },
  {
    name: 'haproxy-splice',
    kind: 'hop',
    note: 'the same with `option splice-auto`',
    programs: ['haproxy'],
    start: (context) => haproxy(context, true),
  },
  {
    name: 'nginx-stream',
    kind: 'hop',
    note: 'stream module, one process, default buffers (16 KiB), no logs',
    programs: ['nginx'],
    start: nginx,
  },
  {
    name: 'openssl',
    kind: 'base',
    note: "what TLS is compared with: the system's OpenSSL sends and receives the same bytes, records of 16 KiB, its own socket BIO; nothing is relayed",
    programs: [],
    start: () => Promise.resolve({ port: 0, pids: [] }),
  },
  {
    name: 'accept-destroy',
    kind: 'base',
    note: 'what a handover is compared with: Node accepts two sockets and destroys them',
    programs: [],
    start: acceptDestroy,
  },
]
