import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { askRelay, connectControl, exchange } from '../../src/control/client.ts'
import { type ControlRequest, maxLineBytes, readLine } from '../../src/control/exchange.ts'
import { ControlServer, type ControlServerOptions } from '../../src/control/server.ts'
import { silentLogger } from '../../src/observe/log.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mr-ctl-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

async function served(t: TestContext, options: Partial<ControlServerOptions> = {}): Promise<string> {
  const path = options.path ?? join(await folder(t), 'state', 'relay.sock')
  const handlers = {
    echo: ({ word }: ControlRequest) => ({ ok: true, word }),
    fail: () => {
      throw new Error('it does not like that')
    },
  }
  const server = await ControlServer.open({ path, handlers, log: silentLogger, ...options })
  t.after(() => server.close())
  return path
}

describe('the control socket', () => {
  it('answers requests, several on one connection, and says why not', async (t) => {
    const path = await served(t)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    const socket = await connectControl(path)
    assert.deepEqual(await exchange(socket, { type: 'echo', word: 'a' }), { ok: true, word: 'a' })
    socket.write('{"type":"echo","word":"b"}\n{"type":"echo","word":"c"}\n')
    assert.deepEqual(await readLine(socket, 10_000), { ok: true, word: 'b' })
    assert.deepEqual(await readLine(socket, 10_000), { ok: true, word: 'c' })
    assert.deepEqual(await exchange(socket, { type: 'fail' }), { ok: false, error: 'it does not like that' })
    assert.match(String((await exchange(socket, { type: 'toString' })).error), /echo, fail/)
    socket.destroy()
  })

  it('refuses what is no request, too long or too late', async (t) => {
    const path = await served(t, { requestMs: 200 })
    for (const [text, error] of [
      ['hello\n', /no JSON$/],
      ['[1]\n', /no JSON object/],
      ['x'.repeat(maxLineBytes + 1), /longer than/],
      ['{', /within 200 ms/],
    ] as const) {
      const socket = await connectControl(path)
      socket.write(text)
      const reply = await readLine(socket, 10_000)
      assert.equal(reply?.['ok'], false)
      assert.match(String(reply?.['error']), error)
      socket.destroy()
    }
  })

  it('closes clients beyond its limit', async (t) => {
    const path = await served(t, { maxClients: 1 })
    const first = await connectControl(path)
    assert.equal((await exchange(first, { type: 'echo' })).ok, true)
    await assert.rejects(askRelay(path, { type: 'echo' }), { code: 'ERR_CONTROL' })
    first.destroy()
  })

  it('replaces what a dead relay left, and refuses the place of a living one', async (t) => {
    const path = join(await folder(t), 'relay.sock')
    // What a relay leaves that was killed: a file that nobody listens at.
    const dead = createServer().listen(`${path}.x`)
    await once(dead, 'listening')
    await rename(`${path}.x`, path)
    dead.close()
    await assert.rejects(askRelay(path, { type: 'echo' }), { code: 'ERR_CONTROL_ABSENT' })
    await served(t, { path })
    assert.equal((await askRelay(path, { type: 'echo' })).ok, true)
    await assert.rejects(served(t, { path }), { code: 'ERR_CONTROL_TAKEN' })
    assert.equal((await askRelay(path, { type: 'echo' })).ok, true)
  })

  it('takes a living one over when told so, whose end then leaves the new file alone', async (t) => {
    const path = join(await folder(t), 'relay.sock')
    const options = { path, log: silentLogger }
    const old = await ControlServer.open({ ...options, handlers: { who: () => ({ ok: true, who: 'old' }) } })
    const late = await ControlServer.open({
      ...options,
      replace: true,
      handlers: { who: () => ({ ok: true, who: 'new' }) },
    })
    await old.close()
    assert.equal((await askRelay(path, { type: 'who' }))['who'], 'new')
    await late.close()
    await assert.rejects(stat(path), { code: 'ENOENT' })
  })

  it('says when nobody is there', async (t) => {
    const path = join(await folder(t), 'relay.sock')
    await assert.rejects(askRelay(path, { type: 'echo' }), { code: 'ERR_CONTROL_ABSENT', message: /relay\.sock/ })
    await writeFile(path, '')
    await assert.rejects(askRelay(path, { type: 'echo' }), { code: 'ERR_CONTROL_ABSENT' })
  })
})
