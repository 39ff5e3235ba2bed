/** Tokens from the command line, with a relay and an agent as processes. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Millrace } from '../e2e/process.ts'
import { millrace, type Outcome } from './run.ts'

async function scratch(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-token-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

describe('millrace token', () => {
  it('enrols an agent with one string, and revoking ends it at once', async (t) => {
    const folder = await scratch(t)
    const place = ['--state-dir', join(folder, 'relay')]
    const home = { XDG_STATE_HOME: join(folder, 'agent'), MILLRACE_TOKEN: '' }
    // Port 0 can't be known before the relay runs, and a relay needs a token to run.
    const first = await millrace(['token', 'new', '--name', 'first', ...place])
    assert.equal(first.code, 0)
    const relay = new Millrace(t, [
      'relay',
      ...place,
      '--tunnel-addr',
      '127.0.0.1:0',
      '--http-addr',
      '127.0.0.1:0',
      '--log-format',
      'json',
    ])
    const { address } = await relay.line('relay.listening', (line) => line['role'] === 'tunnel')
    const enrolled = await millrace([
      'token',
      'new',
      '--enrol',
      String(address),
      '--name',
      'laptop',
      '--subdomain',
      'web-*',
      ...place,
    ])
    assert.match(enrolled.stdout, /^millrace:\/\/[\w-]{43}@127\.0\.0\.1:\d+#sha256=[0-9a-f]{64}\n$/)
    assert.equal(enrolled.stderr, '')
    await relay.line('tokens.reloaded', (line) => line['tokens'] === 2)

    const login = new Millrace(t, ['login', enrolled.stdout.trim()], home)
    assert.equal(await login.exit(), 0, login.output.stderr)
    const file = join(folder, 'agent', 'millrace', 'login.json')
    assert.equal((await stat(file)).mode & 0o777, 0o600)

    const agent = new Millrace(t, ['http', '9', '--subdomain', 'web-1', '--log-format', 'json'], home)
    await agent.line('tunnel.up')
    const revoked = await millrace(['token', 'revoke', 'laptop', ...place])
    assert.deepEqual([revoked.code, revoked.stdout], [0, 'revoked: laptop\n'])
    assert.equal(await agent.exit(), 1)
    await relay.line('token.revoked', (line) => line['audit'] === 'revoked' && line['agent'] === 'laptop')

    const secret = /\/\/(.*)@/.exec(enrolled.stdout)?.[1] ?? '?'
    for (const { output } of [relay, login, agent]) assert(!`${output.stdout}${output.stderr}`.includes(secret))
    assert(!(await readFile(join(folder, 'relay', 'tokens.yaml'), 'utf8')).includes(secret))
  })

  it('does not send the token to a relay with another key', async (t) => {
    const folder = await scratch(t)
    const place = ['--state-dir', join(folder, 'relay')]
    const made = await millrace(['token', 'new', '--enrol', '--name', 'a', ...place])
    const relay = new Millrace(t, ['relay', ...place, '--tunnel-addr', '127.0.0.1:0', '--log-format', 'json'])
    const { address } = await relay.line('relay.listening')
    const wrong = made.stdout.trim().replace(/@.*$/, `@${String(address)}#sha256=${'0'.repeat(64)}`)
    const home = { XDG_STATE_HOME: join(folder, 'agent') }
    const login = await millrace(['login', wrong], home)
    assert.equal(login.code, 1)
    assert.match(login.stderr, /not a pinned one.*log in with a new enrolment/)
    const nobody = made.stdout.trim().replace(/@[^#]*/, '@127.0.0.1:1')
    assert.match((await millrace(['login', nobody], home)).stderr, /cannot connect to 127\.0\.0\.1:1 \(ECONNREFUSED\)/)
    assert.match((await millrace(['login', '-'], home)).stderr, /there is no enrolment on standard input/)
    assert.deepEqual(
      [...relay.of('agent.connected'), ...relay.of('connection.refused', (l) => l['audit'] !== undefined)],
      [],
    )
    await assert.rejects(stat(join(folder, 'agent', 'millrace', 'login.json')))
  })

  it('lists and checks tokens, of the config and of the tokens file', async (t) => {
    const folder = await scratch(t)
    const config = join(folder, 'relay.yaml')
    const place = ['--config', config]
    await writeFile(config, `state_dir: .\ntokens:\n  - { name: fixed, sha256: ${'ab'.repeat(32)}, disabled: true }\n`)
    const made = await millrace([
      'token',
      'new',
      '--name',
      'b',
      '--network',
      '192.0.2.0/24',
      '--expires',
      '2090-01-01',
      ...place,
    ])
    const token = /^token: (.*)$/m.exec(made.stdout)?.[1] ?? ''
    const env = { MILLRACE_TOKEN: token }
    const [list, check, elsewhere, stranger, fixed, twice, bad] = (await Promise.all([
      millrace(['token', 'list', ...place]),
      millrace(['token', 'check', ...place], env),
      millrace(['token', 'check', '--from', '127.0.0.1', ...place], env),
      millrace(['token', 'check', ...place], { MILLRACE_TOKEN: 'stranger' }),
      millrace(['token', 'revoke', 'fixed', ...place]),
      millrace(['token', 'new', '--name', 'b', ...place]),
      millrace(['token', 'new', '--name', 'c', '--network', 'x', ...place]),
    ])) as [Outcome, Outcome, Outcome, Outcome, Outcome, Outcome, Outcome]
    const line = 'b  valid  networks=192.0.2.0/24  expires=2090-01-01T00:00:00.000Z\n'
    assert.equal(list.stdout, `fixed  disabled\n${line}`)
    assert.deepEqual([check.code, check.stdout], [0, line])
    assert.deepEqual([elsewhere.code, stranger.code, fixed.code, twice.code, bad.code], [1, 1, 1, 1, 1])
    assert.match(elsewhere.stderr, /does not allow agents from there/)
    assert.match(stranger.stderr, /does not know this token/)
    assert.match(fixed.stderr, /relay\.yaml: take it out there/)
    assert.match(twice.stderr, /^millrace: --name: there is a token with this name already\n$/)
    assert.match(bad.stderr, /^millrace: --network: not an IP network/)
    const json = JSON.parse((await millrace(['token', 'list', '--json', ...place])).stdout) as unknown
    assert.deepEqual(json, [
      { name: 'fixed', state: 'disabled', sha256: 'ab'.repeat(32) },
      {
        name: 'b',
        state: 'valid',
        sha256: createHash('sha256').update(token).digest('hex'),
        networks: ['192.0.2.0/24'],
        expires: '2090-01-01T00:00:00.000Z',
      },
    ])
    assert.match((await millrace(['token', 'check', ...place])).stderr, /there is no token on standard input/)
    assert.equal((await millrace(['token', 'revoke', 'b', ...place])).code, 0)
    assert.equal((await millrace(['token', 'list', ...place])).stdout, 'fixed  disabled\n')
  })
})

describe('simultaneous edits of the tokens file', () => {
  it('lose nothing, and a lock left by a dead command holds nobody up', async (t) => {
    const folder = await scratch(t)
    const place = ['--state-dir', folder]
    await writeFile(join(folder, 'tokens.yaml.lock.999999999.gone.0'), '')
    const names = ['a', 'b', 'c', 'd']
    const made = await Promise.all(names.map((name) => millrace(['token', 'new', '--name', name, ...place])))
    assert.deepEqual(
      made.map(({ code, stderr }) => [code, stderr]),
      names.map(() => [0, '']),
    )
    const gone = await Promise.all(['b', 'd'].map((name) => millrace(['token', 'revoke', name, ...place])))
    assert.deepEqual(
      gone.map(({ code }) => code),
      [0, 0],
    )
    const { stdout } = await millrace(['token', 'list', '--json', ...place])
    const left = (JSON.parse(stdout) as readonly { name: string }[]).map(({ name }) => name).sort()
    assert.deepEqual(left, ['a', 'c'])
    assert.deepEqual(await readdir(folder), ['tokens.yaml'])
  })
})

describe('a relay as a process', () => {
  it('reads the tokens of its config again on SIGHUP, and goes on', async (t) => {
    const folder = await scratch(t)
    const config = join(folder, 'relay.yaml')
    const text = (hash: string): string =>
      `tunnel_addr: 127.0.0.1:0\nstate_dir: .\nlog_format: json\ntokens:\n  - { name: a, sha256: ${hash.repeat(64)} }\n`
    await writeFile(config, text('a'))
    const relay = new Millrace(t, ['relay', '--config', config])
    await relay.line('relay.started')
    await writeFile(config, text('x'))
    relay.kill('SIGHUP')
    await relay.line('config.refused', (line) => /64 hex digits/.test(String(line['error'])))
    await writeFile(config, text('b'))
    relay.kill('SIGHUP')
    await relay.line('tokens.reloaded', (line) => line['revoked'] === 1)
    relay.kill('SIGTERM')
    assert.equal(await relay.exit(), 0)
  })
})
