/** `--proxy`, and what the environment says about proxies. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AgentFlags } from '../../src/cli/agent-flags.ts'
import { outboundProxy } from '../../src/cli/agent-proxy.ts'
import { describeProxy } from '../../src/net/proxy-server.ts'
import { millrace } from './run.ts'

const flags: AgentFlags = { relay: [{ host: 'r.test', port: 4443 }], logFormat: 'json', logLevel: 'info', lanes: true }

const chosen = (given: Partial<AgentFlags>, env: NodeJS.ProcessEnv, host = 'r.test'): string => {
  const proxy = outboundProxy({ ...flags, ...given }, env)({ host, port: 4443 })
  return proxy === undefined ? 'direct' : describeProxy(proxy)
}

describe('--proxy', () => {
  it('goes before the environment, no_proxy and loopback included', () => {
    const env = { https_proxy: 'http://env:1', no_proxy: 'r.test' }
    assert.equal(chosen({}, env), 'direct')
    assert.equal(chosen({}, env, 'other.test'), 'http://env:1')
    assert.equal(chosen({ proxy: 'socks5://flag:2' }, env), 'socks5://flag:2')
    assert.equal(chosen({ proxy: 'socks5://flag:2' }, env, 'localhost'), 'socks5://flag:2')
    assert.equal(chosen({ proxy: 'none' }, env, 'other.test'), 'direct')
  })

  const wrong = 'https://jane:hunter2@proxy:1'
  for (const [what, args, env] of [
    ['the flag', ['--proxy', wrong], {}],
    ['the environment', [], { HTTPS_PROXY: wrong, https_proxy: '' }],
  ] as const) {
    it(`that is wrong ends the agent, and is not shown (${what})`, async () => {
      const { code, stdout, stderr } = await millrace(['tcp', '22', '--relay', 'r.test', ...args], env)
      assert.equal(code, 1)
      assert.match(stderr, /TLS to the proxy itself is not supported/)
      assert.doesNotMatch(stdout + stderr, /hunter2|jane/)
    })
  }
})

describe('several relays on the command line', () => {
  it('are read one by one, and what is wrong with one is said', async () => {
    const { code, stderr } = await millrace(['tcp', '22', '--relay', '127.0.0.1:1, [::1]:2,a.test:99999'])
    assert.deepEqual([code, /"a\.test:99999": a port is a number/.test(stderr)], [2, true])
  })
})
