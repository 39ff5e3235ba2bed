/** What a login tells whoever guesses, and what it tells the operator. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TokenBook } from '../../src/relay/tokens.ts'
import { type Ending, FrameSocket } from './frame-socket.ts'
import { RelayBed, sha256, token } from './relay-bed.ts'
import { TestAgent, type TestAgentOptions } from './test-agent.ts'

/** The middle of some durations, µs. */
function median(runs: number, run: () => void): number {
  const times = Array.from({ length: runs }, () => {
    const started = performance.now()
    run()
    return (performance.now() - started) * 1000
  })
  times.sort((a, b) => a - b)
  return times[runs >> 1] ?? 0
}

describe('a token that is guessed', () => {
  it('takes as long to be judged wherever it stands in the config, and when it is not there', () => {
    const entries = Array.from({ length: 5_000 }, (_, i) => ({ name: `${i}`, sha256: sha256(`token ${i}`) }))
    const book = new TokenBook(entries, false)
    const measure = () =>
      ['token 0', 'token 2500', 'token 4999', 'nobody'].map((text) => median(41, () => void book.identify(text)))
    measure()
    // A search that ends where it finds something would differ a thousandfold; the machine may be busy.
    const times = measure()
    assert(Math.max(...times) < 4 * Math.min(...times), `medians in µs: ${times.join(', ')}`)
  })

  it('is answered alike whatever is wrong: byte for byte, and in how the connection ends', async (t) => {
    const tokens = [
      { name: 'test', sha256: sha256(token) },
      { name: 'disabled', sha256: sha256('disabled'), disabled: true },
      { name: 'expired', sha256: sha256('expired'), expires: Date.now() - 1 },
      { name: 'elsewhere', sha256: sha256('elsewhere'), networks: ['192.0.2.0/24'] },
    ]
    const bed = await RelayBed.start(t, { tokens, limits: { loginFailures: 100 } })
    const inside = await bed.agent({ extensions: ['ticket'] })
    const answers = new Set<string>()
    const attempts: readonly TestAgentOptions[] = [
      { token: 'unknown' },
      { token: '' },
      { token: `${token}x` },
      { token: 'disabled' },
      { token: 'expired' },
      { token: 'elsewhere' },
      // With the id of an agent that is connected.
      { token: 'unknown', clientId: inside.clientId },
      { token: 'unknown', extensions: ['ticket', 'close'] },
    ]
    for (const attempt of attempts) {
      const { control, auth } = await TestAgent.greet(bed.port('tunnel'), attempt)
      const ending: Ending = await control.ended()
      answers.add(JSON.stringify([auth, ending, control.unread.length]))
      control.destroy()
    }
    assert.equal(answers.size, 1, [...answers].join('\n'))
    assert.equal(bed.relay.counts.sessions, 1)
  })
})

const guess = 'what nobody knows'

describe('the audit log', () => {
  it('has logins, refusals by their real reasons, and revocations, each with whose token and from where', async (t) => {
    const tokens = [
      { name: 'test', sha256: sha256(token) },
      { name: 'old', sha256: sha256('old'), disabled: true },
    ]
    const bed = await RelayBed.start(t, { tokens })
    const agent = await bed.agent()
    for (const text of ['old', 'unknown'])
      (await TestAgent.greet(bed.port('tunnel'), { token: text })).control.destroy()
    await agent.ask({ Protocol: 'tcp', RemotePort: bed.port('http') })
    await bed.reloadTokens([])
    await agent.control.ended()
    await bed.tap.until('token.revoked')
    const audit = bed.tap.lines.filter((line) => line['audit'] !== undefined)
    assert.deepEqual(
      audit.slice(0, 5).map(({ audit: what, event, agent: whose, code }) => [what, event, whose, code]),
      [
        ['login', 'agent.connected', 'test', undefined],
        ['refused', 'connection.refused', 'old', 'ERR_TOKEN_DISABLED'],
        ['refused', 'connection.refused', undefined, 'ERR_AUTH_TOKEN'],
        ['refused', 'tunnel.refused', 'test', 'ERR_TUNNEL_PORT'],
        ['revoked', 'token.revoked', 'test', undefined],
      ],
    )
    for (const line of audit.slice(0, 3)) assert.match(String(line['remote']), /^127\.0\.0\.1:\d+$/)
    assert(!JSON.stringify(bed.tap.lines).includes(guess))
  })
})

describe('a token of several sessions', () => {
  it('has one bandwidth for all of them', async (t) => {
    const bytes = 50_000
    const bed = await RelayBed.start(t, { tokens: [{ name: 'test', sha256: sha256(token), bandwidth: 50_000 }] })
    const agents = [await bed.agent(), await bed.agent()]
    const ports = await Promise.all(
      agents.map(async (agent) => {
        agent.echo()
        return (await agent.tcp()).port
      }),
    )
    const started = performance.now()
    await Promise.all(
      ports.map(async (port) => {
        const visitor = await FrameSocket.plain(port)
        visitor.write('x'.repeat(bytes))
        assert.equal((await visitor.read(bytes)).length, bytes)
        visitor.destroy()
      }),
    )
    // 200 000 bytes there and back, of which 50 000 may pass at once: 3 s at 50 000 a second; 1 s if each had its own.
    const ms = performance.now() - started
    assert(ms > 2_500, `it took ${ms} ms`)
  })
})
