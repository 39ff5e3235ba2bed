/** Two thousand visitors at the same moment, and no proxy connection open for any of them. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createDataPlane } from '../../src/dataplane/create.ts'
import type { DataPlane } from '../../src/dataplane/types.ts'
import { type BedOptions, RelayBed, token } from '../relay/relay-bed.ts'
import { Part } from '../support/part.ts'
import type { AgentNews, AgentOrder } from './burst/agent.ts'
import type { Visit, VisitorsOrder } from './burst/visitors.ts'

const count = 2_000
/**
 * The deadline counts from when the relay takes a visitor in, and a busy machine takes long to take in so many; a visitor
 * that is forgotten is so for ever, ms.
 */
const slackMs = 60_000
/** A session with `ping2` lives as long as something is heard within 10 s. */
const silenceMs = 10_000

/** A data plane that notes the ports whose visitors are joined, in that order. */
function noting(joined: number[]): DataPlane {
  const dataPlane = createDataPlane()
  const join: DataPlane['join'] = (visitor, proxy, options) => {
    if (visitor.remote.family !== 'unix') joined.push(visitor.remote.port)
    return dataPlane.join(visitor, proxy, options)
  }
  return new Proxy(dataPlane, {
    get: (target, key) => {
      if (key === 'join') return join
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

interface Burst {
  readonly bed: RelayBed
  readonly visits: readonly Visit[]
  /** The visitors' ports in the order in which they were joined. */
  readonly joined: readonly number[]
}

async function burst(
  t: TestContext,
  order: Pick<AgentOrder, 'kind' | 'protocol'>,
  limits: BedOptions['limits'] = {},
): Promise<Burst> {
  const joined: number[] = []
  const bed = await RelayBed.start(t, { domain: 'localhost', limits }, [], noting(joined))
  const agent = new Part<AgentNews>(
    t,
    new URL('burst/agent.ts', import.meta.url),
    { ...order, port: bed.port('tunnel'), token },
    60_000,
  )
  const up = await agent.next()
  assert('url' in up)
  const url = new URL(up.url)
  await agent.ask()
  const began = performance.now()
  const visits = await visitors(t, bed, {
    port: order.protocol === 'tcp' ? Number(url.port) : bed.port('http'),
    host: order.protocol === 'tcp' ? '' : url.host,
  })
  const news = await agent.ask()
  assert('pings' in news)
  t.diagnostic(`${summary(visits)}, in ${Math.round(performance.now() - began)} ms with the visitors' start`)
  const { pings, slowestMs, longestGapMs, handshakes, resumed } = news
  t.diagnostic(
    `heartbeats: ${pings} answered, the slowest after ${Math.round(slowestMs)} ms, at most ${Math.round(longestGapMs)} ms apart`,
  )
  if (order.kind === 'ours') {
    assert(resumed > 0)
    t.diagnostic(`TLS handshakes of the agent: ${handshakes}, of these resumed ${resumed}`)
  }
  assert(pings > 0 && slowestMs < silenceMs && longestGapMs < silenceMs, 'heartbeats are on time')
  assert.equal(bed.tap.all('agent.disconnected').length, 0)
  return { bed, visits, joined }
}

async function visitors(
  t: TestContext,
  bed: RelayBed,
  where: Pick<VisitorsOrder, 'port' | 'host'>,
): Promise<readonly Visit[]> {
  const patienceMs = bed.settings.limits.waiterTimeoutMs + slackMs
  const part = new Part<readonly Visit[]>(
    t,
    new URL('burst/visitors.ts', import.meta.url),
    { ...where, count, patienceMs },
    patienceMs + 60_000,
  )
  return await part.next()
}

const summary = (visits: readonly Visit[]): string => {
  const counts = new Map<string, number>()
  for (const { outcome } of visits) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  const times = visits.map(({ ms }) => ms).sort((a, b) => a - b)
  const at = (share: number): number => Math.round(times[Math.floor(share * (times.length - 1))] ?? 0)
  const outcomes = [...counts].map(([outcome, n]) => `${n} ${outcome}`).join(', ')
  return `${outcomes}; ms to the answer: median ${at(0.5)}, p99 ${at(0.99)}, last ${at(1)}`
}

/** Whoever was joined was so in the order of coming. */
function assertOrder(visits: readonly Visit[], joined: readonly number[]): void {
  const place = new Map(visits.map(({ port }, index) => [port, index]))
  const places = joined.map((port) => place.get(port) ?? -1)
  assert.deepEqual(
    places,
    [...places].sort((a, b) => a - b),
  )
}

function outcomes(visits: readonly Visit[], ...allowed: readonly Visit['outcome'][]): readonly number[] {
  assert.equal(visits.length, count)
  for (const { outcome } of visits) assert(allowed.includes(outcome), `${outcome} is not one of ${allowed.join(', ')}`)
  return allowed.map((wanted) => visits.filter(({ outcome }) => outcome === wanted).length)
}

describe('2000 visitors at once on a cold pool', () => {
  for (const kind of ['ours', '1.x'] as const) {
    it(`are served or reset by the deadline, in order of arrival, and heartbeats stay on time (agent: ${kind})`, async (t) => {
      const { bed, visits, joined } = await burst(t, { kind, protocol: 'tcp' })
      const [served = 0, reset = 0] = outcomes(visits, 'served', 'reset')
      assert(served > 0)
      // The log has one line a second for all of them. Lanes that come back fill the pool before those on their way do.
      const counts = [...bed.relay.refusals.counts].filter(([code]) => code !== 'ERR_POOL_LIMIT')
      assert.deepEqual(new Map(counts), new Map(reset === 0 ? [] : [['ERR_POOL_TIMEOUT', reset]]))
      assertOrder(visits, joined)
    })
  }

  for (const kind of ['ours', '1.x'] as const) {
    it(`over http are served, or get a 503 or 504 (agent: ${kind})`, async (t) => {
      const { visits } = await burst(t, { kind, protocol: 'http' }, { waiters: 500 })
      const [served = 0] = outcomes(visits, 'served', '503', '504')
      assert(served > 0)
    })
  }

  it('are let go by the deadline, or at once where too many wait, by an agent that opens nothing', async (t) => {
    const waiterTimeoutMs = 3_000
    const waiters = 500
    const bed = await RelayBed.start(t, { domain: 'localhost', limits: { waiterTimeoutMs, waiters } })
    const agent = await bed.agent()
    await agent.ask({ Protocol: 'http', Subdomain: 'burst' })
    const visits = await visitors(t, bed, { port: bed.port('http'), host: 'burst.localhost' })
    t.diagnostic(summary(visits))
    const [, full = 0] = outcomes(visits, '504', '503')
    assert(full > 0 && full <= count - waiters, `${full} of ${count} did not wait`)
    const waited = visits.filter(({ outcome }) => outcome === '504')
    assert(waited.every(({ ms }) => ms >= waiterTimeoutMs - 100))
    // The agent, to which all this is nothing, is still there.
    agent.control.send1x({ type: 'Ping' })
    await agent.control.next('Pong')
  })
})
