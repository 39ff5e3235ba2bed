/** What an agent keeps over its own restart. */
import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { StateFile } from '../../src/agent/state-file.ts'
import { startAgent, startRelay, tcpTunnel, tunnelUp } from './setup.ts'

const memory = { clientId: 'an-id', addresses: [{ host: 'a.example.com', port: 7 }] }

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-agent-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

describe('the state file of an agent', () => {
  it('gives back what was saved, and is nobody else’s to read', async (t) => {
    const path = join(await folder(t), 'below')
    const first = new StateFile(path, 'purpose')
    assert.deepEqual(await first.open(), { clientId: '', addresses: [] })
    await Promise.all([first.save({ ...memory, clientId: 'older' }), first.save(memory)])
    await first.close()
    const second = new StateFile(path, 'purpose')
    assert.deepEqual(await second.open(), memory)
    const [name = ''] = (await readdir(path)).filter((one) => one.endsWith('.json'))
    assert.equal((await stat(join(path, name))).mode & 0o777, 0o600)
    assert.deepEqual(await new StateFile(path, 'another').open(), { clientId: '', addresses: [] })
    await second.close()
  })

  it('belongs to one live agent at a time', async (t) => {
    const path = await folder(t)
    const first = new StateFile(path, 'purpose')
    await first.open()
    const second = new StateFile(path, 'purpose')
    assert.equal(await second.open(), undefined)
    // It has none to write to.
    await second.save(memory)
    await second.close()
    assert.equal(await new StateFile(path, 'purpose').open(), undefined)
    await first.close()
    assert.deepEqual(await second.open(), { clientId: '', addresses: [] })
    await second.close()
  })

  it('is taken over from an agent that was killed, and read past damage', async (t) => {
    const path = await folder(t)
    const first = new StateFile(path, 'purpose')
    await first.open()
    await first.save(memory)
    await first.close()
    const [name = ''] = (await readdir(path)).filter((one) => one.endsWith('.json'))
    for (const owner of ['4194304.gone.0', `${process.pid}.an-earlier-one.0`, '', 'nonsense']) {
      await writeFile(join(path, name.replace('.json', `.lock.${owner}`)), '')
      const next = new StateFile(path, 'purpose')
      assert.deepEqual(await next.open(), memory, owner)
      await next.close()
    }
    for (const damage of ['', '{', '[]', '{"clientId":1}', '{"clientId":"x","addresses":[null]}']) {
      await writeFile(join(path, name), damage)
      const next = new StateFile(path, 'purpose')
      assert.equal(typeof (await next.open())?.clientId, 'string', damage)
      await next.close()
    }
  })

  it('makes an agent come back as the same one, with its addresses', async (t) => {
    const path = await folder(t)
    const relay = await startRelay(t)
    const url = 'tcp://relay.test:20001'
    const first = startAgent(t, relay.port, tcpTunnel(1), { state: new StateFile(path, 'purpose') })
    await tunnelUp(relay, url, { clientId: 'the-same-agent' })
    await first.up
    await first.agent.stop()
    startAgent(t, relay.port, tcpTunnel(1), { state: new StateFile(path, 'purpose') })
    const control = await relay.connections.next()
    assert.equal((await control.expect('Auth')).ClientId, 'the-same-agent')
    control.send({ type: 'AuthResp', Version: '2', MmVersion: '1.7', ClientId: 'the-same-agent', Error: '' })
    assert.equal((await control.expect('ReqTunnel')).RemotePort, 20_001)
  })

  it('is no reason not to run where it can’t be kept', async (t) => {
    if (process.getuid?.() === 0) {
      t.skip('root may write anywhere')
      return
    }
    const path = await folder(t)
    await chmod(path, 0o500)
    const relay = await startRelay(t)
    const { log, up } = startAgent(t, relay.port, tcpTunnel(1), { state: new StateFile(join(path, 'x'), 'purpose') })
    await tunnelUp(relay, 'tcp://relay.test:20001')
    await up
    assert.ok(log.of('agent.state').length > 0)
  })
})
