import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import type { TokenEntry } from '../../src/config/relay-settings.ts'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed, sha256, token } from './relay-bed.ts'
import type { TestAgent } from './test-agent.ts'

const entry: TokenEntry = { name: 'test', sha256: sha256(token) }
const other: TokenEntry = { name: 'other', sha256: sha256('other') }

/** A visitor of a TCP tunnel that has been joined with an echo. */
async function visit(agent: TestAgent): Promise<FrameSocket> {
  agent.echo()
  const { port } = await agent.tcp()
  const visitor = await FrameSocket.plain(port)
  visitor.write('x')
  assert.equal(await visitor.read(1), 'x')
  return visitor
}

async function replaceTokens(bed: RelayBed, text: string): Promise<void> {
  const { tokensFile } = bed.settings
  await writeFile(`${tokensFile}.new`, text)
  await rename(`${tokensFile}.new`, tokensFile)
}

describe('a running relay', () => {
  it('ends sessions, tunnels and visitors of a token that is revoked, and nobody else', async (t) => {
    const bed = await RelayBed.start(t, { tokens: [entry, other] })
    const [agent, stays] = [await bed.agent(), await bed.agent({ token: 'other' })]
    const [visitor, staying] = [await visit(agent), await visit(stays)]
    await bed.reloadTokens([other])
    assert.equal(await agent.control.ended(), 'fin')
    assert.equal(await visitor.ended(), 'reset')
    await bed.tap.until('token.revoked', { audit: 'revoked', agent: 'test', reason: 'removed', sessions: 1, joins: 1 })
    await bed.tap.until('agent.disconnected', { reason: 'revoked' })
    assert.equal(bed.tap.all('tunnel.down').length, 1)
    staying.write('y')
    assert.equal(await staying.read(1), 'y')
    staying.destroy()
    assert.equal(bed.relay.counts.sessions, 1)
  })

  it('ends visitors of web tunnels with their token', async (t) => {
    const bed = await RelayBed.start(t, { tokens: [entry, other] })
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    const visitor = await FrameSocket.plain(bed.port('http'))
    visitor.write('GET / HTTP/1.1\r\nHost: web.localhost\r\n\r\n')
    const { proxy } = await agent.visitor()
    proxy.write('HTTP/1.1 200 OK\r\n\r\nbegin')
    let seen = ''
    while (!seen.endsWith('begin')) seen += await visitor.read(1)
    await bed.reloadTokens([other])
    assert.equal(await visitor.ended(), 'reset')
  })

  it('ends what a token may not have any more, and leaves the rest', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent({ extensions: ['close'] })
    const { url } = await agent.tcp()
    const web = await agent.ask({ Protocol: 'http', Subdomain: 'web' })
    await bed.reloadTokens([{ ...entry, protocols: ['http'] }])
    assert.deepEqual(await agent.control.next('TunnelClosed'), { type: 'TunnelClosed', Url: url, Reason: 'revoked' })
    assert.deepEqual(bed.relay.counts, { sessions: 1, tunnels: 1, visitors: 0 })
    await bed.reloadTokens([{ ...entry, subdomains: ['shop'] }])
    assert.equal((await agent.control.next('TunnelClosed')).Url, web.Url)
    await bed.reloadTokens([{ ...entry, networks: ['192.0.2.0/24'] }])
    assert.equal(await agent.control.ended(), 'fin')
    await bed.tap.until('agent.disconnected', { reason: 'revoked', detail: 'ERR_TOKEN_NETWORK' })
  })

  it('ends a session when its token expires', async (t) => {
    const bed = await RelayBed.start(t)
    const agent = await bed.agent()
    await bed.reloadTokens([{ ...entry, expires: Date.now() + 500 }])
    assert.equal(await agent.control.ended(), 'fin')
    await bed.tap.until('token.revoked', { reason: 'expired' })
  })

  it('follows the tokens file; a bad one changes nothing and is said once', async (t) => {
    const bed = await RelayBed.start(t)
    await replaceTokens(bed, `tokens:\n  - { name: filed, sha256: ${sha256('filed')} }\n`)
    await bed.tap.until('tokens.reloaded', { tokens: 2 })
    const agent = await bed.agent({ token: 'filed' })
    await replaceTokens(bed, 'tokens: 7\n')
    const line = await bed.tap.until('tokens.refused')
    assert.match(String(line['error']), /tokens\.yaml:1:9: tokens: /)
    await bed.reloadTokens([entry])
    assert.equal(bed.tap.all('tokens.refused').length, 1)
    await bed.agent({ token: 'filed' })
    await replaceTokens(bed, 'tokens: []\n')
    assert.equal(await agent.control.ended(), 'fin')
    await bed.tap.until('token.revoked', { agent: 'filed', reason: 'removed', sessions: 2 })
  })

  it('refuses a tokens file with a token that the config has as well', async (t) => {
    const bed = await RelayBed.start(t)
    await replaceTokens(bed, `tokens:\n  - { name: again, sha256: ${sha256(token)} }\n`)
    assert.match(String((await bed.tap.until('tokens.refused'))['error']), /in the relay's config as well/)
    await bed.agent()
  })
})
