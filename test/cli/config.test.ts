/** `millrace config …`, and the checks of `start` and `relay`. */
import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { millrace } from './run.ts'

async function file(t: TestContext, name: string, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-config-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, name)
  await writeFile(path, text, { mode: 0o600 })
  return path
}

describe('millrace config', () => {
  it('check says every fault at once, where it is and what was meant', async (t) => {
    const text = `relay: a:1\ntokn: x\ntunnels:\n  web:\n    proto: [http, https]\n    addr: 3000\n    remote_port: 22\n    subdomian: a\n`
    const path = await file(t, 'agent.yml', text)
    const { code, stderr } = await millrace(['config', 'check', path])
    assert.equal(code, 1)
    assert.match(stderr, /agent\.yml:2:1: Unrecognized key: "tokn" \(did you mean "token"\?\)/)
    assert.match(stderr, /agent\.yml:8:5: tunnels\.web: Unrecognized key: "subdomian" \(did you mean "subdomain"\?\)/)
    assert.match(stderr, /agent\.yml:7:18: tunnels\.web\.remote_port: is for tcp tunnels, and this one is http\+https/)
    await writeFile(path, 'relay: a\ntunnels:\n  web: { proto: tcp, addr: 22 }\n')
    assert.deepEqual(await millrace(['config', 'check', path]), {
      code: 0,
      stdout: `${path}: right, 1 tunnels\n`,
      stderr: '',
    })
    assert.equal((await millrace(['start', '--all', '--check', '--config', path])).code, 0)
    assert.equal((await millrace(['start', '--check', '--config', path])).code, 0)
    const wrong = await millrace(['start', 'wbe', '--check', '--config', path])
    assert.match(wrong.stderr, /has no tunnel "wbe": did you mean web\?/)
  })

  it('check refuses a file with a secret that others may read', async (t) => {
    const path = await file(t, 'agent.yml', 'token: abc\n')
    await chmod(path, 0o644)
    const { code, stderr } = await millrace(['config', 'check', path])
    assert.equal(code, 1)
    assert.match(stderr, /holds a secret and others may read it: chmod 600/)
  })

  it('check and relay --check judge a relay file alike', async (t) => {
    const path = await file(t, 'relay.yml', 'open: true\nhtp_addr: ":80"\n')
    for (const args of [
      ['config', 'check', '--for', 'relay', path],
      ['relay', '--check', '--config', path],
    ]) {
      const { code, stderr } = await millrace(args)
      assert.equal(code, 1)
      assert.match(stderr, /relay\.yml:2:1: Unrecognized key: "htp_addr" \(did you mean "http_addr"\?\)/)
    }
    await writeFile(path, 'open: true\n')
    assert.equal((await millrace(['relay', '--check', '--config', path])).code, 0)
    // The files that it names count as well.
    for (const [text, fault] of [
      ['tls_cert: no.crt\ntls_key: no.key\n', /no\.crt/],
      ['https_certs: nowhere\n', /nowhere/],
      ['tokens_file: relay.yml\n', /relay\.yml:1:1: Unrecognized key/],
    ] as const) {
      await writeFile(path, text)
      const { code, stderr } = await millrace(['relay', '--check', '--config', path])
      assert.equal(code, 1)
      assert.match(stderr, fault)
    }
  })

  it('schema prints a JSON Schema that knows all keys and no others', async () => {
    for (const [whom, key] of [
      ['agent', 'tunnels'],
      ['relay', 'tunnel_addr'],
    ]) {
      const { stdout } = await millrace(['config', 'schema', whom ?? ''])
      const schema = JSON.parse(stdout) as { properties: Record<string, unknown>; additionalProperties: unknown }
      assert.ok(key !== undefined && key in schema.properties)
      assert.equal(schema.additionalProperties, false)
    }
    assert.match((await millrace(['config', 'schema'])).stdout, /"title": "millrace agent"/)
    assert.equal((await millrace(['config', 'schema', 'nobody'])).code, 2)
  })

  it('import gives a tunnel without a name its own, as ngrok does, and knows the file that is only a token', async (t) => {
    const tunnels =
      'www: { proto: { http: 80 } }\n  a.example.com: { proto: { https: 80 } }\n  ssh: { proto: { tcp: 22 } }'
    const path = await file(t, 'ngrok.yml', `server_addr: a:1\ntunnels:\n  ${tunnels}\n`)
    const { code, stdout } = await millrace(['config', 'import', path])
    assert.equal(code, 0)
    assert.match(stdout, / {2}www:\n {4}proto: http\n {4}addr: 80\n {4}subdomain: www\n/)
    assert.match(stdout, / {2}a\.example\.com:\n {4}proto: https\n {4}addr: 80\n {4}hostname: a\.example\.com\n/)
    assert.match(stdout, / {2}ssh:\n {4}proto: tcp\n {4}addr: 22\n$/)
    await writeFile(path, 'aToken_1!\n')
    assert.match((await millrace(['config', 'import', path])).stdout, /^token: aToken_1!$/m)
  })

  it('import says in our words what an ngrok 1.x file says, and what it cannot', async (t) => {
    const path = await file(
      t,
      'ngrok',
      'server_addr: example.com:4443\nauth_token: abc\ninspect_addr: 0.0.0.0:4040\ntunnels:\n  ssh:\n    remote_port: 2222\n    proto: {tcp: 22}\n  web:\n    subdomain: foo\n    auth: "u:p"\n    proto: {http: 80, https: "80"}\n  two:\n    proto: {http: 80, https: 8443}\n',
    )
    const out = join(path, '..', 'agent.yml')
    const { code, stderr } = await millrace(['config', 'import', path, '--out', out])
    assert.equal(code, 0)
    assert.match(stderr, /inspect_addr has no equivalent yet/)
    assert.equal(
      await readFile(out, 'utf8'),
      '# inspect_addr has no equivalent yet\nrelay: example.com:4443\ntoken: abc\ntunnels:\n  ssh:\n    proto: tcp\n    addr: 22\n    remote_port: 2222\n  web:\n    proto: http+https\n    addr: 80\n    subdomain: foo\n    auth: u:p\n  two-http:\n    proto: http\n    addr: 80\n    subdomain: two\n  two-https:\n    proto: https\n    addr: 8443\n    subdomain: two\n',
    )
    assert.equal((await stat(out)).mode & 0o777, 0o600)
    assert.equal((await millrace(['config', 'check', out])).code, 0)
    assert.match((await millrace(['config', 'import', path, '--out', out])).stderr, /it is there already/)
    await writeFile(path, 'tunnels:\n  a:\n    prot: {http: 80}\n')
    const bad = await millrace(['config', 'import', path])
    assert.match(bad.stderr, /ngrok:3:5: tunnels\.a: Unrecognized key: "prot" \(did you mean "proto"\?\)/)
  })
})
