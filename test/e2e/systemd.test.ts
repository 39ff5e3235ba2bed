/** The relay as a service: what it tells the service manager, sockets that it gets from it, and its units. */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { handoverProblem } from '../../src/dataplane/handover.ts'
import { Mailbox } from '../agent/events.ts'
import { dialPort, startService } from '../agent/setup.ts'
import { eventually } from '../contract/harness/wait.ts'
import { missing, without } from '../tls/support/programs.ts'
import { Millrace } from './process.ts'
import { scratch, startAgent, tunnelUrl, visit } from './stage.ts'

const problem = handoverProblem() ?? (missing('python3', ['-c', 'import socket']) || undefined)
const skip = handoverProblem() === undefined ? without(problem ?? '') : (problem ?? false)

/** A service manager's socket, unix(7) datagrams. Node has none of these. */
class Manager {
  readonly notes = new Mailbox<string>('note')
  readonly #child: ChildProcessByStdio<null, Readable, null>

  constructor(t: TestContext, address: string) {
    const program = [
      'import json, socket, sys',
      's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)',
      "s.bind(sys.argv[1].replace('@', '\\0'))",
      'print(\'"bound"\', flush=True)',
      'while True: print(json.dumps(s.recv(4096).decode()), flush=True)',
    ].join('\n')
    this.#child = spawn('python3', ['-c', program, address], { stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.notes.put(String(JSON.parse(line))))
    t.after(() => this.#child.kill('SIGKILL'))
  }

  /** The next note with this line; others are passed over. */
  async next(text: string): Promise<string> {
    for (;;) {
      const note = await this.notes.next()
      if (note.split('\n').includes(text)) return note
    }
  }
}

const relayFlags = (state: string): string[] => {
  const any = '127.0.0.1:0'
  return ['relay', '--open', '--tunnel-addr', any, '--http-addr', any, '--state-dir', state, '--log-format', 'json']
}

describe('a relay as a service', { skip }, () => {
  for (const kind of ['a path', 'an abstract name']) {
    it(`tells a manager at ${kind} of its life`, async (t) => {
      const state = await scratch(t)
      const address = kind === 'a path' ? join(state, 'notify') : `@millrace-${process.pid}`
      const manager = new Manager(t, address)
      await manager.next('bound')
      const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '1000000' }
      const relay = new Millrace(t, relayFlags(state), env)
      assert.match(await manager.next('READY=1'), new RegExp(`^MAINPID=${relay.pid}$`, 'm'))
      for (let i = 0; i < 3; i++) await manager.next('WATCHDOG=1')
      relay.kill('SIGHUP')
      assert.match(await manager.next('RELOADING=1'), /^MONOTONIC_USEC=\d+$/m)
      await manager.next('READY=1')
      // Its successor is what the manager sees from now on.
      relay.kill('SIGUSR2')
      const pid = Number((await relay.line('relay.successor'))['pid'])
      await manager.next(`MAINPID=${pid}`)
      t.after(() => {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It has ended, as it should.
        }
      })
      assert.match(await manager.next('READY=1'), new RegExp(`^MAINPID=${pid}$`, 'm'))
      await manager.next('WATCHDOG=1')
      process.kill(pid, 'SIGTERM')
      await manager.next('STOPPING=1')
      assert.equal(await relay.exit(), 0)
    })
  }

  it('takes the sockets that it gets, and serves who came before it was there', async (t) => {
    const state = await scratch(t)
    const servers = await Promise.all(
      [0, 1].map(async () => {
        const server = createServer()
        await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 64 }, resolve))
        const address = server.address()
        assert(typeof address === 'object' && address !== null)
        const handle = Reflect.get(server, '_handle') as { readonly fd: number }
        return { server, port: address.port, fd: handle.fd }
      }),
    )
    const [tunnel, http] = servers
    assert(tunnel !== undefined && http !== undefined)
    const flags = relayFlags(state)
    flags[flags.indexOf('--tunnel-addr') + 1] = `127.0.0.1:${tunnel.port}`
    flags[flags.indexOf('--http-addr') + 1] = `127.0.0.1:${http.port}`
    const relay = new Millrace(t, flags, { LISTEN_FDNAMES: 'http:tunnel' }, { sockets: [http.fd, tunnel.fd] })
    for (const { server } of servers) server.close()
    await relay.line('relay.listening', ({ role, address }) => role === 'http' && address === `127.0.0.1:${http.port}`)
    const early = await dialPort(http.port)
    const service = await startService(t)
    const at = { process: relay, tunnel: `127.0.0.1:${tunnel.port}`, http: '', https: '', state }
    await relay.line('relay.listening', ({ role }) => role === 'tunnel')
    const agent = startAgent(t, at, ['http', `${service.port}`, '--proto', 'http', '--subdomain', 'web'])
    const url = await tunnelUrl(agent, 'http')
    early.write(`GET /early HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`)
    const visitor = await service.visitors.next()
    assert.match(String(await visitor.bytes(10)), /^GET \/early/)
    visitor.socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    early.destroy()
    const page = visit(url, `127.0.0.1:${http.port}`)
    const next = await service.visitors.next()
    next.socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    assert.equal((await page).status, 204)
  })

  it('goes on when its successor fails', async (t) => {
    const state = await scratch(t)
    const relay = new Millrace(t, relayFlags(state))
    await relay.line('relay.started')
    const file = join(state, 'control.sock')
    await eventually('the control socket', () => existsSync(file))
    rmSync(file)
    relay.kill('SIGUSR2')
    await relay.line('relay.successor-failed')
    relay.kill('SIGTERM')
    assert.equal(await relay.exit(), 0)
  })
})

it('the units are valid', { skip: without(missing('systemd-analyze', ['--version']), true) }, () => {
  const folder = fileURLToPath(new URL('../../packaging/systemd/', import.meta.url))
  for (const name of ['millrace-relay.service', 'millrace-relay.socket', 'millrace-agent.service']) {
    const { stderr } = spawnSync('systemd-analyze', ['verify', join(folder, name)], { encoding: 'utf8' })
    // The program is not installed where this runs, nor need be the user.
    const faults = stderr.split('\n').filter((line) => line.startsWith('millrace') && !/is not executable/.test(line))
    assert.deepEqual(faults, [])
  }
})
