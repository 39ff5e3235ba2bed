/** The differential test through whole tunnels: what a visitor and a service see of each other is what the kernel shows two ends. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createDataPlane } from '../../src/dataplane/create.ts'
import { startAgent, tcpTunnel } from '../agent/setup.ts'
import { type Bed, peerOf } from '../contract/harness/bed.ts'
import { askedSeeds, type Ground, playSeed, randomSeed } from '../contract/harness/differential.ts'
import type { CleanUp } from '../contract/harness/door.ts'
import { connectNode, NodeServer } from '../contract/harness/sockets.ts'
import { RelayBed, token } from '../relay/relay-bed.ts'

const planes = { native: createDataPlane('native'), stream: createDataPlane('stream') }
type Plane = keyof typeof planes

/** What is between relay and agent. */
interface Way {
  readonly relay: Plane
  readonly agent: Plane
  readonly plain: boolean
  /** Default both. */
  readonly lanes?: 'not at the relay' | 'not at the agent'
}

const pairs: readonly (readonly [Plane, Plane])[] =
  planes.native.kind === 'native'
    ? [
        ['native', 'native'],
        ['native', 'stream'],
        ['stream', 'native'],
        ['stream', 'stream'],
      ]
    : [['stream', 'stream']]

const ways: readonly Way[] = [
  ...pairs.flatMap(([relay, agent]) => [false, true].map((plain) => ({ relay, agent, plain }))),
  ...pairs.slice(0, 1).flatMap(([relay, agent]): readonly Way[] => [
    { relay, agent, plain: false, lanes: 'not at the relay' },
    { relay, agent, plain: true, lanes: 'not at the agent' },
  ]),
]

/** Tunnels of one agent, each with a service of its own, so that it is known whose visitor comes: they share its lanes. */
const tunnels = 6
/** Lanes that wait for visitors, at most. */
const pool = 3
/** These are played in every run; more random ones follow until the time is over. */
const fixedSeeds = Array.from({ length: 18 }, (_, index) => index + 1)
const randomForMs = 1000 * Number(process.env['MILLRACE_DIFFERENTIAL_SECONDS'] ?? 2)

function nameOf({ relay, agent, plain, lanes }: Way): string {
  return `relay ${relay}, agent ${agent}, ${plain ? 'plain' : 'TLS'}${lanes === undefined ? '' : `, lanes ${lanes}`}`
}

/** One ground for each tunnel. */
async function tunnelled(t: TestContext, way: Way): Promise<readonly Ground[]> {
  const { relay, agent, plain, lanes } = way
  const settings = { allowPlain: plain, lanes: lanes !== 'not at the relay', limits: { pool } }
  const bed = await RelayBed.start(t, settings, [], planes[relay])
  const services = await Promise.all(Array.from({ length: tunnels }, () => NodeServer.listen('tcp')))
  t.after(() => {
    for (const service of services) service.close()
  })
  const specs = services.map(({ target }) => tcpTunnel('port' in target ? target.port : 0))
  const [first, ...others] = specs
  assert(first)
  const started = startAgent(t, bed.port('tunnel'), first, {
    dataPlane: planes[agent],
    token,
    plain,
    lanes: lanes !== 'not at the agent',
    trust: { kind: 'none' },
    tunnels: [first, ...others],
  })
  await started.up
  const { tunnels: live } = started.agent.status
  return services.map((service): Ground => {
    const { target } = service
    const own = 'port' in target ? `:${target.port}` : ''
    const url = live.find((tunnel) => tunnel.target.endsWith(own))?.url ?? ''
    const open = (one: CleanUp): Promise<Bed> => opened(Number(new URL(url).port), service, one)
    return { name: nameOf(way), file: 'test/e2e/differential.test.ts', unix: false, open }
  })
}

/** A visitor and its connection at the service. */
async function opened(port: number, service: NodeServer, t: CleanUp): Promise<Bed> {
  const visitor = await connectNode({ host: '127.0.0.1', port })
  t.after(() => void visitor.destroy())
  const served = await service.next()
  served.setNoDelay(true)
  t.after(() => void served.destroy())
  const [a, b] = [peerOf(visitor, 'a'), peerOf(served, 'b')]
  b.socket.resume()
  return { a, b, join: undefined }
}

describe('scripts through whole tunnels', () => {
  for (const way of ways) {
    it(nameOf(way), { timeout: 240_000 + 2 * randomForMs }, async (t) => {
      const grounds = await tunnelled(t, way)
      const ends = [planes[way.relay], planes[way.agent]] as const
      const count = (what: 'faults' | 'visits') => ends.map((plane) => plane.stats().total.lanes[what])
      const [faults, visits] = [count('faults'), count('visits')]
      const seeds = [...(askedSeeds() ?? fixedSeeds)]
      const end = askedSeeds() === undefined ? performance.now() + randomForMs : 0
      let played = 0
      await Promise.all(
        grounds.map(async (ground) => {
          for (;;) {
            const seed = seeds.shift() ?? (performance.now() < end ? randomSeed() : undefined)
            if (seed === undefined) return
            await playSeed(seed, ground)
            played++
          }
        }),
      )
      t.diagnostic(`${played} scripts`)
      assert.deepEqual(count('faults'), faults)
      const onLanes = way.lanes === undefined && ends.every(({ hasLanes }) => hasLanes)
      // A data plane that is at both ends counts a visit at either.
      const each = played * (way.relay === way.agent ? 2 : 1)
      const came = count('visits').map((number, index) => number - (visits[index] ?? 0))
      assert(came.every((number) => (onLanes ? number >= each : number === 0)))
    })
  }
})
