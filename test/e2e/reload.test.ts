/** A relay whose settings change while it runs, as processes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { millrace } from '../cli/run.ts'
import { Millrace } from './process.ts'
import { scratch } from './stage.ts'

const base = 'tunnel_addr: 127.0.0.1:0\nhttp_addr: 127.0.0.1:0\nopen: true\nstate_dir: state\nlog_format: json\n'

describe('millrace reload', () => {
  it('applies the file, says what changed and what waits, and refuses a bad one', async (t) => {
    const folder = await scratch(t)
    const config = join(folder, 'relay.yml')
    await writeFile(config, base)
    const relay = new Millrace(t, ['relay', '--config', config])
    await relay.line('relay.started')
    const socket = join(folder, 'state', 'control.sock')
    while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(statSync(socket).mode & 0o777, 0o600)
    const reload = () => millrace(['reload', '--state-dir', join(folder, 'state')])
    assert.deepEqual(await reload(), { code: 0, stdout: 'nothing new\n', stderr: '' })

    await writeFile(config, `${base}domain: b.example\nlimits:\n  pool: 3\n`)
    const first = await reload()
    // The file is followed as well, and may have been faster.
    if (first.stdout !== 'after a restart: domain\n') {
      assert.match(first.stdout, /^(changed: limits\.pool|nothing new); after a restart: domain\n$/)
    }
    const { live, later } = await relay.line('config.reloaded')
    assert.deepEqual([live, later], [['limits.pool'], ['domain']])
    await relay.line('config.restart')

    await writeFile(config, `${base}limits:\n  pol: 3\n`)
    const bad = await reload()
    assert.equal(bad.code, 1)
    assert.match(bad.stderr, /relay\.yml:7:3: limits: Unrecognized key: "pol" \(did you mean "pool"\?\)/)
    await relay.line('config.refused')

    const { stdout } = await millrace([
      'status',
      '--config',
      config.replace('relay.yml', 'none.yml'),
      '--state-dir',
      join(folder, 'state'),
    ])
    assert.match(
      stdout,
      new RegExp(
        `^pid: ${relay.pid}\nup_s: \\d+\nsessions: 0\ntunnels: 0\nvisitors: 0\nidle_proxies: 0\nbusy_lanes: 0\n$`,
      ),
    )
    const tunnelPort = Number(
      /\d+$/.exec(String((await relay.line('relay.listening', ({ role }) => role === 'tunnel'))['address'])),
    )
    const stranger = connect({ host: '127.0.0.1', port: tunnelPort }).end('GET / HTTP/1.1\r\n\r\n')
    await once(stranger.resume(), 'close')
    const told = await millrace(['status', '--state-dir', join(folder, 'state')])
    assert.match(told.stdout, /^millrace_refusals_total\{code="ERR_FRAME_\w+"\}: 1$/m)
    relay.kill('SIGTERM')
    assert.equal(await relay.exit(), 0)
    assert.equal(existsSync(socket), false)
    const none = await reload()
    assert.equal(none.code, 1)
    assert.match(none.stderr, /control\.sock/)
  })

  it('follows its file without being asked', async (t) => {
    const folder = await scratch(t)
    const config = join(folder, 'relay.yml')
    await writeFile(config, base)
    const relay = new Millrace(t, ['relay', '--config', config])
    await relay.line('relay.started')
    await writeFile(config, `${base}limits: { sessions: 5 }\n`)
    assert.deepEqual((await relay.line('config.reloaded'))['live'], ['limits.sessions'])
  })
})
