import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Millrace } from '../e2e/process.ts'

async function scratch(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-cli-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

describe('millrace token new', () => {
  it('prints a token of 32 random bytes and its SHA-256', async (t) => {
    const command = new Millrace(t, ['token', 'new'])
    assert.equal(await command.exit(), 0)
    const [, token = '', sha256] = /^token: ([\w-]{43})\nsha256: ([0-9a-f]{64})\n$/.exec(command.output.stdout) ?? []
    assert.equal(createHash('sha256').update(token).digest('hex'), sha256)
  })
})

describe('millrace relay', () => {
  for (const [name, flags, code, message] of [
    ['no token', [], 1, /--token-sha256 .*--open/],
    ['an unknown flag', ['--opne'], 2, /--opne/],
    ['a bad address', ['--open', '--http-addr', 'x:y'], 2, /x:y/],
    ['a bad range', ['--open', '--tcp-ports', '9-1'], 2, /9-1/],
    ['a bad hash', ['--token-sha256', 'abc'], 2, /64 hex digits/],
    ['a key without its certificate', ['--open', '--tls-key', 'x.pem'], 1, /belong together/],
    ['a config that is not there', ['--config', '/nowhere/relay.yaml'], 1, /nowhere/],
    ['an address of another machine', ['--open', '--tunnel-addr', '192.0.2.1:0'], 1, /192\.0\.2\.1:0.*--tunnel-addr/],
  ] as const) {
    it(`ends with ${code} and a sentence: ${name}`, async (t) => {
      const relay = new Millrace(t, [
        'relay',
        '--tunnel-addr',
        '127.0.0.1:0',
        '--state-dir',
        await scratch(t),
        ...flags,
      ])
      assert.equal(await relay.exit(), code)
      assert.match(relay.output.stderr, message)
      assert(!relay.output.stderr.includes('    at '), 'no stack')
    })
  }

  it('reads its config file, says where it is wrong, and lets flags go first', async (t) => {
    const folder = await scratch(t)
    const file = join(folder, 'relay.yaml')
    await writeFile(file, 'open: true\nadr: 1\n')
    const wrong = new Millrace(t, ['relay', '--config', file])
    assert.equal(await wrong.exit(), 1)
    assert.match(wrong.output.stderr, /relay\.yaml:2:1: Unrecognized key: "adr"/)
    await writeFile(
      file,
      'open: true\ntunnel_addr: 127.0.0.1:0\nhttp_addr: 192.0.2.1:1\nlog_format: json\nstate_dir: .\n',
    )
    const right = new Millrace(t, ['relay', '--config', file, '--http-addr', '127.0.0.1:0'])
    for (const role of ['http', 'tunnel']) {
      const line = await right.line('relay.listening', (found) => found['role'] === role)
      assert.match(String(line['address']), /^127\.0\.0\.1:[1-9]\d*$/)
    }
    right.kill('SIGTERM')
    assert.equal(await right.exit(), 0)
  })

  it('listens on every address for :PORT, IPv4 and IPv6', async (t) => {
    const relay = new Millrace(t, [
      'relay',
      '--open',
      '--tunnel-addr',
      ':0',
      '--state-dir',
      await scratch(t),
      '--log-format',
      'json',
    ])
    const { address } = await relay.line('relay.listening')
    const port = Number(String(address).split(':').at(-1))
    const socket = net.connect({ port, host: '127.0.0.1' })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    socket.destroy()
    relay.kill('SIGINT')
    assert.equal(await relay.exit(), 0)
  })
})
