import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { relaySettings } from '../../src/config/relay-config.ts'
import { defaultStateDir } from '../../src/config/relay-settings.ts'
import { snakeCase } from '../../src/limits/limit.ts'
import { defaultLimits, relayLimits } from '../../src/limits/relay.ts'

const hash = 'ab'.repeat(32)
const other = 'cd'.repeat(32)

async function file(t: TestContext, text: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-config-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const path = join(dir, 'relay.yaml')
  await writeFile(path, text)
  return path
}

describe("the relay's config", () => {
  it('has defaults', async () => {
    const settings = await relaySettings({}, undefined)
    assert.deepEqual(settings.tunnelAddr, { host: '::', port: 4443 })
    assert.equal(settings.httpAddr, undefined)
    assert.equal(settings.httpsAddr, undefined)
    assert.equal(settings.tcpPorts, undefined)
    assert.equal(settings.domain, 'localhost')
    assert.equal(settings.open, false)
    assert.equal(settings.allowPlain, 'passthrough')
    assert.equal(settings.drainTimeoutMs, 30_000)
    assert.equal(settings.nameGraceMs, 60_000)
    assert.deepEqual(settings.limits, defaultLimits)
  })

  it('reads every key', async (t) => {
    const path = await file(
      t,
      `tunnel_addr: 127.0.0.1:1
http_addr: ":2"
https_addr: "[::1]:3"
tcp_ports: 20000-20100
domain: Example.COM
allow: [192.0.2.0/24]
deny: [192.0.2.1]
proxy_protocol_from: [10.0.0.0/8, "fd00::/8"]
tls_cert: certs/relay.crt
tls_key: /etc/relay.key
https_certs: certs/public
https_redirect: true
tls_min_version: 1.3
hsts: 600
token_sha256: [${other}]
tokens:
  - name: laptop
    sha256: ${hash.toUpperCase()}
    hostnames: [A.example.com, "*.b.example.com"]
    subdomains: [web-*]
    tcp_ports: [20000-20010, 20022]
    protocols: [http, tcp]
    sessions: 1
    tunnels: 2
    connections: 3
    bandwidth: 4
    networks: [192.0.2.0/24]
    deny_networks: [192.0.2.1]
    expires: 2027-01-31
    disabled: true
tokens_file: more.yaml
open: true
allow_plain: true
lanes: false
state_dir: state
control_socket: socket
log_format: json
drain_timeout: 2.5
name_grace: 1.5
limits:
  sessions: 1
  tunnels_per_session: 2
  pool: 3
  waiters: 4
  waiter_timeout_ms: 5
  handshakes: 6
  handshakes_per_address: 14
  joins_per_tunnel: 7
  joins: 8
  head_bytes: 2048
  client_hello_bytes: 1024
  proxy_header_ms: 11
  pending_visitors: 9
  pending_per_address: 15
  remembered: 10
  login_failures: 12
  login_addresses: 13
`,
    )
    const folder = join(path, '..')
    assert.deepEqual(await relaySettings({}, path), {
      tunnelAddr: { host: '127.0.0.1', port: 1 },
      httpAddr: { host: '::', port: 2 },
      httpsAddr: { host: '::1', port: 3 },
      tcpPorts: { first: 20_000, last: 20_100 },
      domain: 'example.com',
      allow: ['192.0.2.0/24'],
      deny: ['192.0.2.1'],
      proxyProtocolFrom: ['10.0.0.0/8', 'fd00::/8'],
      tls: { cert: join(folder, 'certs/relay.crt'), key: '/etc/relay.key' },
      httpsCerts: join(folder, 'certs/public'),
      httpsRedirect: true,
      tlsMinVersion: 'TLSv1.3',
      hstsSeconds: 600,
      tokens: [
        {
          name: 'laptop',
          sha256: hash,
          hostnames: ['a.example.com', '*.b.example.com'],
          subdomains: ['web-*'],
          tcpPorts: [
            { first: 20_000, last: 20_010 },
            { first: 20_022, last: 20_022 },
          ],
          protocols: ['http', 'tcp'],
          sessions: 1,
          tunnels: 2,
          connections: 3,
          bandwidth: 4,
          networks: ['192.0.2.0/24'],
          denyNetworks: ['192.0.2.1'],
          expires: Date.UTC(2027, 0, 31),
          disabled: true,
        },
        { name: 'sha256:cdcdcdcd', sha256: other },
      ],
      tokensFile: join(folder, 'more.yaml'),
      open: true,
      allowPlain: true,
      lanes: false,
      stateDir: join(folder, 'state'),
      controlSocket: join(folder, 'socket'),
      logFormat: 'json',
      drainTimeoutMs: 2500,
      nameGraceMs: 1500,
      limits: {
        ...defaultLimits,
        sessions: 1,
        tunnelsPerSession: 2,
        pool: 3,
        waiters: 4,
        waiterTimeoutMs: 5,
        handshakes: 6,
        handshakesPerAddress: 14,
        joinsPerTunnel: 7,
        joins: 8,
        headBytes: 2048,
        clientHelloBytes: 1024,
        proxyHeaderMs: 11,
        pendingVisitors: 9,
        pendingPerAddress: 15,
        remembered: 10,
        loginFailures: 12,
        loginAddresses: 13,
      },
    })
  })

  it('reads every limit, within its range alone', async (t) => {
    const rows = Object.entries(relayLimits)
    const all = rows.map(([name, { range }]) => `  ${snakeCase(name)}: ${range[0]}\n`).join('')
    assert.deepEqual(
      (await relaySettings({}, await file(t, `limits:\n${all}`))).limits,
      Object.fromEntries(rows.map(([name, { range }]) => [name, range[0]])),
    )
    for (const [name, { range }] of rows) {
      for (const value of [range[0] - 1, range[1] + 1, 1.5]) {
        const path = await file(t, `limits: { ${snakeCase(name)}: ${value} }\n`)
        await assert.rejects(relaySettings({}, path), { code: 'ERR_CONFIG' }, `${name}: ${value}`)
      }
    }
  })

  it('takes certificates one by one, with paths relative to the file', async (t) => {
    const path = await file(
      t,
      'https_certs:\n  - { name: "*.A.example", cert: a.crt, key: a.key }\n  - { name: default, cert: /d.crt, key: /d.key }\n',
    )
    const folder = join(path, '..')
    assert.deepEqual((await relaySettings({}, path)).httpsCerts, [
      { name: '*.a.example', cert: join(folder, 'a.crt'), key: join(folder, 'a.key') },
      { name: 'default', cert: '/d.crt', key: '/d.key' },
    ])
  })

  it('takes hsts as seconds, or true for a year', async (t) => {
    for (const [text, seconds] of [
      ['true', 31_536_000],
      ['false', undefined],
      ['0', 0],
    ] as const) {
      assert.equal((await relaySettings({}, await file(t, `hsts: ${text}\n`))).hstsSeconds, seconds)
    }
  })

  it('says where in a list of certificates a fault is', async (t) => {
    const pair = 'cert: a.crt\n    key: a.key\n'
    for (const [text, place] of [
      [`https_certs:\n  - name: a.example\n    ${pair}    kee: b`, /:5:5: https_certs\.0: Unrecognized key: "kee"/],
      [`https_certs:\n  - name: a_b\n    ${pair}`, /:2:11: https_certs\.0\.name: not a host name/],
      [`https_certs:\n  - name: a\n    ${pair}  - name: A\n    ${pair}`, /:5:11: https_certs\.1\.name: there is one/],
      ['https_certs: 5', /:1:14: https_certs: /],
      ['hsts: -1', /:1:7: hsts: /],
    ] as const) {
      const path = await file(t, text)
      await assert.rejects(relaySettings({}, path), { code: 'ERR_CONFIG', message: place })
    }
  })

  it('takes an empty file, a single port and a single hash', async (t) => {
    await relaySettings({}, await file(t, '# nothing\n'))
    const settings = await relaySettings({}, await file(t, `tcp_ports: 7000\ntoken_sha256: ${hash}\n`))
    assert.deepEqual(settings.tcpPorts, { first: 7000, last: 7000 })
    assert.equal(settings.tokens.length, 1)
  })

  it('lets flags go before the file', async (t) => {
    const path = await file(t, `domain: file.example\nopen: true\ntokens: [{ name: a, sha256: ${hash} }]\n`)
    const flags = { domain: 'flag.example', open: undefined, token_sha256: [other] }
    const settings = await relaySettings(flags, path)
    assert.equal(settings.domain, 'flag.example')
    assert.equal(settings.open, true)
    assert.deepEqual(
      settings.tokens.map(({ sha256 }) => sha256),
      [hash, other],
    )
  })

  for (const [name, text, message] of [
    ['an unknown key', 'domain: a.example\nadr: 1\n', /relay\.yaml:2:1: Unrecognized key: "adr"/],
    [
      'an unknown key in a list',
      `tokens:\n  - name: a\n    sha256: ${hash}\n    adr: 1\n`,
      /:4:5: tokens\.0: Unrec.*adr/,
    ],
    ['an unknown limit', 'limits:\n  pools: 1\n', /:2:3: limits: Unrecognized key: "pools"/],
    ['a wrong type', 'domain: a.example\nopen: "yes"\n', /:2:7: open: expected true or false$/],
    ['a bad address', 'http_addr: nowhere\n', /:1:12: http_addr: .*port is missing/],
    ['a bad range', 'tcp_ports: 9-1\n', /:1:12: tcp_ports: not a range of ports/],
    ['a bad name', 'domain: a_b\n', /:1:9: domain: not a host name/],
    ['a bad hash', 'tokens:\n  - name: a\n    sha256: abc\n', /:3:13: tokens\.0\.sha256: .*64 hex digits/],
    [
      'a name twice',
      `tokens:\n  - { name: a, sha256: ${hash} }\n  - { name: a, sha256: ${other} }\n`,
      /:3:13: tokens\.1\.name: there is a token with this name/,
    ],
    ['a bad expiry', `tokens:\n  - { name: a, sha256: ${hash}, expires: soon }\n`, /expires: expected a day/],
    ['a bad network', `tokens:\n  - { name: a, sha256: ${hash}, networks: [x] }\n`, /networks\.0: not an IP network/],
    ['a missing field', 'tokens:\n  - name: a\n', /:2:5: tokens\.0\.sha256: /],
    ['a limit of zero', 'limits: { waiters: 0 }\n', /:1:20: limits\.waiters: /],
    ['two faults', 'open: 1\nallow_plain: 2\n', /:1:7: open: .*; .*:2:14: allow_plain: /],
    [
      'faults in another order than the schema has',
      'limits: { waiters: many }\nopen: 1\nlog_format: jsn\nallow: 10.0.0.0/8\n',
      /:1:20: limits\.waiters: expected a number; .*:2:7: open: .*; .*:3:13: log_format: expected "pretty" or "json" \(did you mean "json"\?\); .*:4:8: allow: expected a list$/,
    ],
    [
      'none of two forms',
      'allow_plain: pasthrough\n',
      /expected true or false or "passthrough" \(did you mean "passthrough"\?\)$/,
    ],
    [
      'two listeners on one port',
      'http_addr: ":80"\nhttps_addr: "[::1]:80"\n',
      /:2:13: https_addr: http_addr and https_addr can't/,
    ],
    ['a listener on a default port', 'http_addr: ":4443"\n', /:1:12: http_addr: tunnel_addr and http_addr can't/],
    ['broken YAML', 'domain: [a\n', /relay\.yaml:\d+:\d+: /],
    ['a key given twice', 'open: true\nopen: false\n', /:2:1: .*unique/],
    ['a list at the top', '- a\n', /relay\.yaml:1:1: /],
    ['a certificate without its key', 'tls_cert: a.pem\n', /:1:11: tls_cert: tls_cert and tls_key belong together/],
  ] as const) {
    it(`refuses ${name}, and says where`, async (t) => {
      await assert.rejects(relaySettings({}, await file(t, text)), { code: 'ERR_CONFIG', message })
    })
  }

  it('names a file that is not there', async () => {
    await assert.rejects(relaySettings({}, '/nowhere/relay.yaml'), {
      code: 'ERR_CONFIG',
      message: /\/nowhere\/relay\.yaml/,
    })
  })

  it('keeps state where the XDG specification says', () => {
    assert.equal(defaultStateDir({ XDG_STATE_HOME: '/var/state' }), '/var/state/millrace')
    for (const env of [{}, { XDG_STATE_HOME: '' }, { XDG_STATE_HOME: 'relative' }]) {
      assert.equal(defaultStateDir(env), join(homedir(), '.local/state/millrace'))
    }
  })
})
