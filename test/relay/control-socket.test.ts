import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createDataPlane } from '../../src/dataplane/create.ts'
import { findLine } from '../../src/net/control-line.ts'
import { ControlSocket } from '../../src/relay/control-socket.ts'

const dataPlane = createDataPlane()

async function place(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-control-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'control.sock')
}

async function say(path: string, line: string): Promise<unknown> {
  const endpoint = await dataPlane.dial({ path })
  endpoint.write(Buffer.from(line))
  const answer = await endpoint.readHead(findLine, 65_536, 20_000)
  endpoint.destroy()
  return JSON.parse(answer.toString('utf8')) as unknown
}

const handlers = new Map([
  ['hello', () => Promise.resolve({ n: 1 })],
  ['fail', () => Promise.reject(new Error('it failed'))],
])

describe('the control socket', () => {
  it('answers its own user, one line each way, and is gone afterwards', async (t) => {
    const path = await place(t)
    const socket = await ControlSocket.open(dataPlane, path, handlers)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.deepEqual(await say(path, '{"command":"hello"}\n'), { ok: true, n: 1 })
    assert.deepEqual(await say(path, '{"command":"fail"}\n'), { ok: false, error: 'it failed' })
    for (const bad of ['{"command":"other"}\n', '{"command":1}\n', '{\n', 'null\n', '\n', '{"command":"toString"}\n']) {
      assert.deepEqual(await say(path, bad), { ok: false, error: 'the relay does not know this command' }, bad)
    }
    await socket.close()
    assert.equal(existsSync(path), false)
  })

  it('turns away who says too much, and too many at once', async (t) => {
    const path = await place(t)
    const socket = await ControlSocket.open(dataPlane, path, handlers)
    t.after(() => socket.close())
    await assert.rejects(say(path, 'x'.repeat(70_000)))
    const silent = await Promise.all(Array.from({ length: 16 }, () => dataPlane.dial({ path })))
    await assert.rejects(say(path, '{"command":"hello"}\n'))
    for (const endpoint of silent) endpoint.destroy()
    let answer: unknown
    while (answer === undefined) answer = await say(path, '{"command":"hello"}\n').catch(() => undefined)
    assert.deepEqual(answer, { ok: true, n: 1 })
  })

  it('takes the place of a dead relay, not that of a living one', async (t) => {
    const path = await place(t)
    await writeFile(path, '')
    const first = await ControlSocket.open(dataPlane, path, handlers)
    t.after(() => first.close())
    await assert.rejects(ControlSocket.open(dataPlane, path, handlers), { code: 'ERR_CONTROL_SOCKET' })
    assert.deepEqual(await say(path, '{"command":"hello"}\n'), { ok: true, n: 1 })
  })
})
