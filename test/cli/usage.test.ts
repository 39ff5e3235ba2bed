/** What the command line says and which exit code it ends with, where no network is needed. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createProgram, exitCodeOf } from '../../src/cli/program.ts'
import { millrace, type Outcome } from './run.ts'

const relay = ['--relay', '127.0.0.1:1']

describe('the command line', () => {
  it('prints help and version with exit code 0', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
      readonly version: string
    }
    const [help, http, number] = await Promise.all([
      millrace(['--help']),
      millrace(['http', '--help']),
      millrace(['--version']),
    ])
    assert.deepEqual([help.code, http.code, number.code], [0, 0, 0])
    for (const command of ['relay', 'http', 'https', 'tls', 'tcp', 'login', 'token', 'doctor'])
      assert.ok(help.stdout.includes(command))
    for (const flag of ['--relay', '--token-file', '--ca', '--subdomain', '--plain'])
      assert.ok(http.stdout.includes(flag))
    assert.equal(number.stdout, `${version}\n`)
  })

  const misused: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['no command', [], /Usage:/],
    ['an unknown command', ['hppt', '80'], /unknown command/],
    ['an unknown flag', ['http', '80', ...relay, '--colour'], /unknown option/],
    ['no target', ['http', ...relay], /missing required argument/],
    ['no relay', ['tcp', '22'], /--relay/],
    ['a wrong target', ['http', 'localhost:99999', ...relay], /a port is a number/],
    ['a wrong relay', ['http', '80', '--relay', 'a:b:c'], /not an address/],
    ['a wrong port', ['tcp', '22', ...relay, '--remote-port', '70000'], /0 to 65535/],
    ['a wrong protocol', ['http', '80', ...relay, '--proto', 'gopher'], /http\+https/],
    ['two names', ['http', '80', ...relay, '--subdomain', 'a', '--hostname', 'b.c'], /cannot be used with/],
    ['two tokens', ['tcp', '22', ...relay, '--token', 'a', '--token-file', 'b'], /cannot be used with/],
    ['a CA and no verification', ['tcp', '22', ...relay, '--ca', 'a', '--insecure-skip-verify'], /cannot be used with/],
    ['a certificate without its key', ['tls', '443', ...relay, '--crt', 'a'], /--crt and --key belong together/],
    ['a network that is none', ['http', '80', ...relay, '--deny-cidr', '10.0.0.0/99'], /not an IP network/],
    ['TLS within TLS', ['tls', 'https://localhost:1', ...relay], /give the target as HOST:PORT/],
    ['a choice that https does not have', ['https', '80', ...relay, '--proto', 'http'], /unknown option/],
    ['hsts that is no number', ['relay', '--open', '--hsts', 'long'], /whole number from 0/],
    ['too many targets', ['tcp', '22', '23', ...relay], /too many arguments/],
  ]
  for (const [what, args, says] of misused) {
    it(`ends with exit code 2 for ${what}`, async () => {
      const { code, stdout, stderr } = await misuse(args)
      assert.match(stderr, says)
      assert.deepEqual([code, stdout], [2, ''])
    })
  }

  it('does so as a process', async () => {
    assert.equal((await millrace(['hppt'])).code, 2)
  })

  it('does not repeat a password that it can not use', async () => {
    const { code, stdout, stderr } = await misuse(['http', '80', ...relay, '--auth', 'hunter2'])
    assert.equal(code, 2)
    assert.match(stderr, /USER:PASSWORD/)
    assert.ok(!`${stdout}${stderr}`.includes('hunter2'))
  })
})

/** A command line that ends before it runs anything: in this process, as twenty starts would take a while. */
async function misuse(args: readonly string[]): Promise<Outcome> {
  let stdout = ''
  let stderr = ''
  const program = createProgram({
    writeOut: (text) => {
      stdout += text
    },
    writeErr: (text) => {
      stderr += text
    },
  })
  return { code: await exitCodeOf(program, ['node', 'millrace', ...args]), stdout, stderr }
}

describe('files that the command line reads', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-cli-'))
    await writeFile(join(folder, 'empty'), '\n')
    await writeFile(join(folder, 'two'), 'first second\n')
    await writeFile(join(folder, 'text'), 'no certificate\n')
  })
  after(() => rm(folder, { recursive: true, force: true }))

  for (const [flag, file, says] of [
    ['--token-file', 'missing', /cannot read the token file .*missing \(ENOENT\)/],
    ['--token-file', 'empty', /must hold one token/],
    ['--token-file', 'two', /must hold one token/],
    ['--ca', 'missing', /cannot read the CA file .*missing \(ENOENT\)/],
    ['--ca', 'text', /holds no certificate/],
  ] as const) {
    it(`end it with exit code 1 and one sentence: ${flag} ${file}`, async () => {
      const { code, stdout, stderr } = await millrace(['tcp', '22', ...relay, flag, join(folder, file)])
      assert.match(stderr, says)
      assert.equal(stderr.trim().split('\n').length, 1)
      assert.ok(stderr.startsWith('millrace: '))
      assert.ok(!stderr.includes('second'))
      assert.deepEqual([code, stdout], [1, ''])
    })
  }
})

describe('millrace doctor', () => {
  for (const mode of ['native', 'copy', 'splice', 'stream']) {
    it(`says which data plane runs with MILLRACE_DATAPLANE=${mode}`, async () => {
      const [text, json] = await Promise.all([
        millrace(['doctor'], { MILLRACE_DATAPLANE: mode }),
        millrace(['doctor', '--json'], { MILLRACE_DATAPLANE: mode }),
      ])
      assert.deepEqual([text.code, json.code], [0, 0])
      const report = JSON.parse(json.stdout) as {
        readonly kind: string
        readonly text: string
        readonly splices: boolean
      }
      assert.ok(text.stdout.includes(report.text))
      assert.ok(report.kind === 'stream' || report.kind === 'native')
      if (mode === 'stream') assert.equal(report.kind, 'stream')
      if (report.kind === 'stream' || mode === 'copy') assert.equal(report.splices, false)
    })
  }

  it('ends with exit code 1 for a mode that there is not', async () => {
    const { code, stderr } = await millrace(['doctor'], { MILLRACE_DATAPLANE: 'warp' })
    assert.equal(code, 1)
    assert.match(stderr, /^millrace: MILLRACE_DATAPLANE must be [^\n]+\n$/)
  })
})
