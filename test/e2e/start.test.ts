/** `millrace start`: several tunnels of a config file, which is followed. */
import assert from 'node:assert/strict'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { deadPort, startEcho } from '../agent/setup.ts'
import { Millrace } from './process.ts'
import { type RelayProcess, scratch, startAgent, startRelay, token } from './stage.ts'

async function settingsOf(t: TestContext, relay: RelayProcess): Promise<{ file: string; head: string }> {
  const folder = await scratch(t)
  await writeFile(join(folder, 'relay.crt'), await readFile(join(relay.state, 'relay.crt')))
  // The certificate's path is relative to the file.
  const head = `relay: ${relay.tunnel}\nca: relay.crt\ntoken: ${token}\nlog_format: json\n`
  return { file: join(folder, 'agent.yml'), head }
}

const portOf = async (agent: Millrace, nth = 1): Promise<number> =>
  Number(new URL(String((await agent.line('tunnel.up', ({ protocol }) => protocol === 'tcp', nth))['url'])).port)

/** A visitor that says something and hears it back, and stays. */
async function visitor(t: TestContext, port: number): Promise<(text: string) => Promise<string>> {
  const socket = connect({ host: '127.0.0.1', port })
  t.after(() => socket.destroy())
  return (text) =>
    new Promise((resolve, reject) => {
      let back = ''
      const take = (chunk: Buffer): void => {
        back += String(chunk)
        if (back.length < text.length) return
        socket.off('data', take)
        resolve(back)
      }
      socket.on('data', take)
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('the visitor was cut off')))
      socket.write(text)
    })
}

/** At once, as a careful editor does: a file that is half written may be read on SIGHUP. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

describe('millrace start', () => {
  it('exposes the tunnels of the file, and follows it: others and their visitors notice nothing', async (t) => {
    const relay = await startRelay(t)
    const { file, head } = await settingsOf(t, relay)
    const echo = await startEcho(t)
    const tunnels = (more: string): string => `${head}tunnels:\n  ssh: { proto: tcp, addr: ${echo} }\n${more}`
    await writeFile(file, tunnels(`  web: { proto: http, addr: ${echo}, subdomain: one }\n`), { mode: 0o600 })
    const agent = new Millrace(t, ['start', '--all', '--config', file])
    const say = await visitor(t, await portOf(agent))
    assert.equal(await say('before'), 'before')
    await agent.line('tunnel.up', ({ url }) => String(url).startsWith('http://one.'))

    // A bad file changes nothing and says why; twice the same, it is said once.
    await replace(file, tunnels('  web: { proto: http, adr: 1 }\n'))
    const refused = await agent.line('config.refused')
    assert.match(
      String(refused['error']),
      /agent\.yml:7:23: tunnels\.web: Unrecognized key: "adr" \(did you mean "addr"\?\)/,
    )
    process.kill(agent.pid, 'SIGHUP')

    await replace(file, tunnels(`  web: { proto: http, addr: ${echo}, subdomain: two }\n`))
    const { added, removed } = await agent.line('config.reloaded')
    assert.deepEqual([added, removed], [1, 1])
    await agent.line('tunnel.up', ({ url }) => String(url).startsWith('http://two.'))
    await relay.process.line('tunnel.down', ({ url }) => String(url).startsWith('http://one.'))
    assert.equal(await say('after'), 'after')
    assert.equal(agent.of('tunnel.up', ({ protocol }) => protocol === 'tcp').length, 1)
    assert.equal(agent.of('agent.connected').length, 1)
    assert.equal(agent.of('config.refused').length, 1)

    // What is not of tunnels counts later, and is said.
    await replace(file, `plain: true\n${tunnels('')}`)
    await agent.line('config.restart')
    await agent.line('config.reloaded', ({ removed: gone }) => gone === 1, 2)
    assert.equal(await say('at last'), 'at last')
    const { stdout, stderr } = agent.output
    assert.ok(!stdout.includes(token) && !stderr.includes(token))
  })

  it('keeps what it got when other tunnels are refused, and gets those once they are free', async (t) => {
    const relay = await startRelay(t, ['--tcp-ports', '10000-29999'])
    const { file, head } = await settingsOf(t, relay)
    const echo = await startEcho(t)
    // A port that another program has, and a name that another agent has.
    const port = await deadPort()
    const other = createServer()
    t.after(() => other.close())
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
    const taker = startAgent(t, relay, ['http', '1', '--proto', 'http', '--subdomain', 'mine'])
    await taker.line('tunnel.up')
    const lines = [
      `  web: { proto: http, addr: ${echo}, subdomain: mine }`,
      `  fixed: { proto: tcp, addr: ${echo}, remote_port: ${port} }`,
      `  free: { proto: tcp, addr: ${echo} }`,
    ]
    await writeFile(file, `${head}tunnels:\n${lines.join('\n')}\n`, { mode: 0o600 })
    const agent = new Millrace(t, ['start', '--all', '--config', file])
    const free = await agent.line('tunnel.up')
    assert.match(String(free['url']), /^tcp:/)
    for (const what of ['mine', String(port)]) {
      const refused = await agent.line('tunnel.refused', ({ reason }) => String(reason).includes(what))
      assert.ok(Number(refused['retryInMs']) > 0)
    }

    await new Promise((resolve) => other.close(resolve))
    taker.kill('SIGTERM')
    await agent.line('tunnel.up', ({ url }) => String(url).endsWith(`:${port}`))
    const say = await visitor(t, port)
    assert.equal(await say('at last'), 'at last')
    await agent.line('tunnel.up', ({ url }) => String(url).startsWith('http://mine.'))
    assert.equal(agent.of('agent.connected').length, 1)
  })

  it('takes the default file, which gives single tunnels their relay too', async (t) => {
    const relay = await startRelay(t)
    const { file, head } = await settingsOf(t, relay)
    const echo = await startEcho(t)
    const home = join(file, '..', 'home', 'millrace')
    await mkdir(home, { recursive: true })
    const text = head.replace('relay.crt', join(file, '..', 'relay.crt'))
    await writeFile(join(home, 'agent.yml'), `${text}tunnels:\n  a: { proto: tcp, addr: ${echo} }\n`, { mode: 0o600 })
    const env = { XDG_CONFIG_HOME: join(home, '..') }
    for (const args of [
      ['start', 'a'],
      ['tcp', String(echo)],
    ]) {
      const say = await visitor(t, await portOf(new Millrace(t, args, env)))
      assert.equal(await say('hello'), 'hello')
    }
  })
})
