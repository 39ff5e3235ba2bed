/** Every limit that can be set has a test; this says which. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { AgentLimits, fixedAgentLimits } from '../../src/limits/agent.ts'
import type { RelayLimits } from '../../src/limits/relay.ts'
import type { tokenLimits } from '../../src/limits/token.ts'

type Proof = readonly [file: string, name: string]

const limits = 'relay/limits.test.ts'
const tcp = 'relay/tcp.test.ts'
const heads = 'relay/http-front.test.ts'

const proofs: Readonly<Record<keyof RelayLimits, Proof>> = {
  sessions: ['relay/login.test.ts', 'turns agents beyond limits.sessions away without an Error, as it may pass'],
  sessionsPerAddress: [limits, 'turns agents of a crowded address away without an Error'],
  tunnels: [limits, 'refuses tunnels beyond those of all agents'],
  tunnelsPerSession: ['relay/tunnels.test.ts', 'limits.tunnels_per_session'],
  controlMessageRate: [limits, 'ends the session of an agent that floods the relay'],
  handshakes: ['relay/hostile.test.ts', 'connections beyond limits.handshakes are reset'],
  handshakesPerAddress: ['relay/access.test.ts', 'keep one address from taking all handshakes'],
  failedHandshakeRate: [limits, 'resets connections of an address whose connections come to nothing'],
  pool: [tcp, 'close 1.x proxy connections beyond limits.pool'],
  waiters: [tcp, 'reset visitors beyond limits.waiters'],
  waiterTimeoutMs: [tcp, 'reset visitors who waited longer than limits.waiter_timeout_ms'],
  joins: [tcp, 'reset visitors beyond limits.joins, whichever tunnel they come to'],
  joinsPerTunnel: [tcp, 'reset visitors beyond limits.joins_per_tunnel'],
  joinsPerAddress: [limits, 'resets visitors of an address beyond it, over HTTP with a 503'],
  visitorRate: [limits, 'resets visitors of an address that come too fast'],
  rateAddresses: ['net/address-rate.test.ts', 'is bounded: who came longest ago is forgotten'],
  pendingVisitors: ['relay/proxy-protocol.test.ts', 'pendingVisitors'],
  pendingPerAddress: ['relay/access.test.ts', 'keep one address from taking all places of visitors'],
  headBytes: ['relay/web.test.ts', 'headBytes'],
  headFields: [limits, 'are those of the config, also of one that is loaded later'],
  targetBytes: [limits, 'are those of the config, also of one that is loaded later'],
  headIdleMs: [heads, 'slow heads: 408 after the idle or the total limit'],
  headTotalMs: [heads, 'slow heads: 408 after the idle or the total limit'],
  headMinRate: [heads, 'a head that comes too slowly for its least pace gets a 408'],
  chunkLineBytes: ['http/chunked.test.ts', 'chunkLineBytes'],
  trailerBytes: ['http/chunked.test.ts', 'trailerBytes'],
  upgradeMs: ['relay/http-front-upgrade.test.ts', 'upgradeMs'],
  httpIdleMs: [heads, 'a body that never comes does not hold the service for ever'],
  clientHelloBytes: ['relay/https-front.test.ts', 'clientHelloBytes'],
  clientHelloMs: [limits, 'closes visitors of https who do not say hello'],
  proxyHeaderMs: ['relay/proxy-protocol.test.ts', 'has a deadline'],
  loginFailures: ['relay/token-permissions.test.ts', 'has to wait after limits.login_failures'],
  loginAddresses: ['relay/token-backoff.test.ts', 'is bounded: who failed longest ago is forgotten'],
  remembered: ['relay/affinity.test.ts', 'forgets the owners not seen for longest'],
}

const hostile = 'agent/hostile-relay.test.ts'

const agentProofs: Readonly<Record<keyof AgentLimits | keyof typeof fixedAgentLimits, Proof>> = {
  waiting: ['agent/visitors.test.ts', 'do not make the agent open more than its limit'],
  visitors: [hostile, 'serves no more visitors at once than limits.visitors'],
  controlMessageBytes: ['agent/session.test.ts', 'survives hostile frames'],
  startProxyBytes: [hostile, 'reads no StartProxy that is longer than a TLS record'],
  announcements: [hostile, 'keeps one address for each protocol that it asked for'],
  retries: [hostile, 'asks once for a tunnel that is refused again and again'],
}

const tokens = 'relay/token-permissions.test.ts'

const tokenProofs: Readonly<Record<keyof typeof tokenLimits, Proof>> = {
  sessions: [tokens, 'may be limited in sessions (ERR_TOKEN_SESSIONS)'],
  tunnels: [tokens, 'may be limited in tunnels of all its agents (ERR_TOKEN_TUNNELS)'],
  connections: [tokens, 'may be limited in visitors of all its tunnels (ERR_TOKEN_CONNECTIONS)'],
  bandwidth: ['relay/login-secrecy.test.ts', 'has one bandwidth for all of them'],
}

describe('limits', () => {
  const all = [proofs, tokenProofs, agentProofs].flatMap((table) => Object.entries<Proof>(table))
  for (const [key, [file, name]] of all) {
    it(`${key} is tested in ${file}`, () => {
      assert(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').includes(name), name)
    })
  }
})
