/** Ways to the relay and to the service through real processes: proxies of the environment, several relays, IPv6. */
import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { Mailbox, within } from '../agent/events.ts'
import { startHttpProxy, startSocksProxy } from '../agent/fake-proxy.ts'
import { Wire } from '../agent/fake-relay.ts'
import { deadPort, dialPort, startEcho } from '../agent/setup.ts'
import { hasIpv6 } from '../contract/harness/sockets.ts'
import { Millrace } from './process.ts'
import { relayFlags, startAgent, startRelay, token, tunnelUrl } from './stage.ts'

/** Says hello on a TCP tunnel that leads to an echo service. */
async function greet(url: URL): Promise<void> {
  const visitor = new Wire(await dialPort(Number(url.port)))
  visitor.socket.end('hello')
  assert.equal(String(await visitor.rest()), 'hello')
}

/** A service on ::1 that keeps what visitors say. */
async function startService6(t: TestContext): Promise<{ readonly port: number; readonly said: Mailbox<string> }> {
  const said = new Mailbox<string>('what a visitor says')
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = ''
    socket.setEncoding('latin1').on('data', (more: string) => {
      text += more
    })
    socket.on('end', () => {
      said.put(text)
      socket.end('heard')
    })
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '::1', resolve))
  t.after(() => server.close())
  const address = server.address()
  assert(address !== null && typeof address === 'object')
  return { port: address.port, said }
}

describe('an agent', () => {
  for (const [variable, kind] of [
    ['HTTPS_PROXY', 'http'],
    ['all_proxy', 'socks5'],
  ] as const) {
    it(`takes the way of ${variable} (${kind}, with user and password)`, async (t) => {
      // Only the proxy knows where this name is.
      const name = 'relay.test'
      const relay = await startRelay(t, ['--domain', name])
      const proxy = await (kind === 'http' ? startHttpProxy(t, 'jane:hunter2') : startSocksProxy(t, 'jane', 'hunter2'))
      const port = Number(relay.tunnel.split(':')[1])
      const agent = new Millrace(
        t,
        ['tcp', String(await startEcho(t)), ...relayFlags({ ...relay, tunnel: `${name}:${port}` })],
        {
          https_proxy: '',
          HTTPS_PROXY: '',
          http_proxy: '',
          HTTP_PROXY: '',
          no_proxy: 'other.test',
          MILLRACE_TOKEN: token,
          [variable]: `${kind}://jane:hunter2@127.0.0.1:${proxy.port}`,
        },
      )
      await greet(await tunnelUrl(agent, 'tcp'))
      assert(proxy.asked.length >= 2 && proxy.asked.every((asked) => asked === `${name}:${port}`))
      const { stdout, stderr } = agent.output
      assert.doesNotMatch(stdout + stderr, /hunter2|jane/)
    })
  }

  it('goes to the next relay of its list when the first is not there', async (t) => {
    const relay = await startRelay(t)
    const nobody = `127.0.0.1:${await deadPort()}`
    const list = { ...relay, tunnel: `${nobody},${relay.tunnel}` }
    const agent = startAgent(t, list, ['tcp', String(await startEcho(t))])
    await greet(await tunnelUrl(agent, 'tcp'))
    assert.equal((await agent.line('relay.failed'))['relay'], nobody)
  })
})

describe('over IPv6', () => {
  it('visitors come, agents come, and services are told of it', async (t) => {
    if (!(await hasIpv6())) {
      t.skip('this machine has no IPv6')
      return
    }
    const any = '[::1]:0'
    const relay = await startRelay(t, [], { again: { ...(await startRelay(t)), tunnel: any, http: any, https: any } })
    assert.match(relay.tunnel, /^\[::1\]:\d+$/)
    const { port, said } = await startService6(t)
    const agent = startAgent(t, relay, ['tcp', `[::1]:${port}`, '--proxy-protocol', 'v1'])
    const url = await tunnelUrl(agent, 'tcp')
    const visitor = connect({ host: '::1', port: Number(url.port), allowHalfOpen: true })
    t.after(() => visitor.destroy())
    await within(new Promise((resolve) => visitor.once('connect', resolve)), 'a connection over IPv6')
    visitor.end('hello')
    assert.equal(await said.next(), `PROXY TCP6 ::1 ::1 ${visitor.localPort} ${url.port}\r\nhello`)
  })
})
