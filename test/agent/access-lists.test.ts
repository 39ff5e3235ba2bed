/** Lists of who may come to a tunnel, at the agent: what it asks for, and of whom it doesn't. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createProgram } from '../../src/cli/program.ts'
import { agentSchema } from '../../src/config/agent-schema.ts'
import { parseConfig } from '../../src/config/load.ts'
import { encodeMessage } from '../../src/wire/codec.ts'
import { maxNetworks, maxSentFrame } from '../../src/wire/limits.ts'
import { startAgent, startRelay, tcpTunnel } from './setup.ts'

const spec = { ...tcpTunnel(1), allow: ['192.0.2.0/24'], deny: ['192.0.2.7', '2001:db8::/32'] }

describe('an agent with lists', () => {
  it('sends them with its request', async (t) => {
    const relay = await startRelay(t)
    startAgent(t, relay.port, spec)
    const control = await relay.control({ extensions: ['access'] })
    const { Allow, Deny } = await control.expect('ReqTunnel')
    assert.deepEqual([Allow, Deny], [spec.allow, spec.deny])
  })

  it('asks no relay for a tunnel that would let everybody in', async (t) => {
    for (const extensions of [undefined, ['terminate']] as const) {
      const relay = await startRelay(t)
      const { up } = startAgent(t, relay.port, { ...tcpTunnel(1), deny: ['192.0.2.7'] })
      const control = await relay.control(extensions === undefined ? {} : { extensions })
      await assert.rejects(up, { code: 'ERR_AGENT_REFUSED', message: /allow and deny/ })
      assert.equal((await control.rest()).length, 0)
    }
  })

  it('has room for all networks that a list may have', () => {
    const most = Array.from({ length: maxNetworks }, () => '2001:0db8:ffff:ffff:ffff:ffff:ffff:ffff/128')
    const empty = { ReqId: '', Protocol: '', Hostname: '', Subdomain: '', HttpAuth: '', RemotePort: 0 }
    assert(encodeMessage({ type: 'ReqTunnel', ...empty, Allow: most, Deny: most }).length < maxSentFrame)
  })

  it('takes them from its config file, one or several', () => {
    const read = (text: string) => parseConfig(`tunnels:\n  a: { proto: tcp, addr: 22, ${text} }\n`, 'f', agentSchema)
    assert.deepEqual(read('allow: 10.0.0.0/8').tunnels?.['a']?.allow, ['10.0.0.0/8'])
    assert.deepEqual(read('deny: [10.0.0.1, "::1"]').tunnels?.['a']?.deny, ['10.0.0.1', '::1'])
    assert.throws(() => read('allow: [10.0.0.0/8, nobody]'), {
      message: /f:2:.*tunnels\.a\.allow\.1: not an IP network/,
    })
    assert.throws(() => read('allow: []'), { code: 'ERR_CONFIG' })
  })

  it('takes them from flags, which may be repeated', async () => {
    const program = createProgram()
    const tcp = program.commands.find((command) => command.name() === 'tcp')
    tcp?.parseOptions(['--allow-cidr', '10.0.0.0/8', '--allow-cidr', '::1, fd00::/8', '--deny-cidr', '10.1.0.0/16'])
    assert.deepEqual(tcp?.opts()['allowCidr'], ['10.0.0.0/8', '::1', 'fd00::/8'])
    assert.deepEqual(tcp?.opts()['denyCidr'], ['10.1.0.0/16'])
  })
})
