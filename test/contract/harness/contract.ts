import { strict as assert } from 'node:assert'
import { after, describe, type TestContext, test } from 'node:test'
import type { EndReason, JoinOptions, JoinResult, Path } from '../../../src/dataplane/types.ts'
import { type Bed, type Connected, joined, type Pairing } from './bed.ts'
import { type Contestant, contestants } from './contestants.ts'
import { farPlane, type LaneSide, laneFaults } from './lane-bed.ts'
import { hasIpv6, type Transport } from './sockets.ts'
import { within } from './wait.ts'

/** What a test of the contract gets. */
export interface Bench {
  readonly t: TestContext
  readonly contestant: Contestant
  readonly pairing: Pairing
  /** Opens a join of the pairing, or a direct connection. */
  readonly open: (options?: JoinOptions, prepare?: (a: Connected, b: Connected) => Promise<void> | void) => Promise<Bed>
}

/** Where a test of the contract runs. */
export interface Where {
  /** Default {@link everyPairing}. */
  readonly on?: readonly Pairing[]
  /** Default every contestant. */
  readonly who?: (contestant: Contestant) => boolean
  /** `no`: not over lanes, for a reason that the README has. Default: what is said of TLS is said of lanes too. */
  readonly lanes?: 'no'
}

const ipv6 = await hasIpv6()

/** TCP, IPv4: the pairing of everything that does not depend on the transport. */
export const tcp = pairing('tcp', 'tcp', 'tcp')
/** Both sides unix sockets. */
export const unix = pairing('unix', 'unix', 'unix')
/** A TCP visitor, a unix service. */
export const tcpToUnix = pairing('tcp-unix', 'tcp', 'unix')
/** The other way round. */
export const unixToTcp = pairing('unix-tcp', 'unix', 'tcp')
/** Both endpoints taken over from Node, as the library's users do. */
export const adopted: Pairing = {
  name: 'tcp-adopted',
  a: { transport: 'tcp', birth: 'adopt' },
  b: { transport: 'tcp', birth: 'adopt' },
}
/** TLS on either side and on both: a as a server (a visitor's https), b as a client (a local https service). */
export const tlsPairings: readonly Pairing[] = [
  { name: 'tls-tcp', a: { transport: 'tcp', birth: 'listen', tls: 'server' }, b: { transport: 'tcp', birth: 'dial' } },
  { name: 'tcp-tls', a: { transport: 'tcp', birth: 'listen' }, b: { transport: 'tcp', birth: 'dial', tls: 'client' } },
  {
    name: 'tls-tls',
    a: { transport: 'tcp', birth: 'listen', tls: 'server' },
    b: { transport: 'tcp', birth: 'dial', tls: 'client' },
  },
]
/**
 * Visits on lanes, plain and in TLS, with one kind of data plane at both ends and with both kinds: as an agent has them
 * (accepted, side a), as a relay has them (opened, side b), and on both sides.
 */
export const lanePairings: readonly Pairing[] = [
  lanes('tcp-lane', undefined, { role: 'opens', tls: false, far: 'same' }),
  lanes('lane-tcp', { role: 'accepts', tls: false, far: 'other' }, undefined),
  lanes('tcp-tlslane', undefined, { role: 'opens', tls: true, far: 'other' }),
  lanes('tlslane-tcp', { role: 'accepts', tls: true, far: 'same' }, undefined),
  lanes('lane-tlslane', { role: 'opens', tls: false, far: 'other' }, { role: 'accepts', tls: true, far: 'same' }),
]
const everyTransport = [tcp, ...(ipv6 ? [pairing('tcp6', 'tcp6', 'tcp6')] : []), unix, tcpToUnix, unixToTcp]
/** Every transport, and every way in which endpoints are born: accepted twice (relay), dialed twice (agent), adopted. */
export const everyPairing: readonly Pairing[] = [
  ...everyTransport,
  adopted,
  { name: 'unix-adopted', a: { transport: 'unix', birth: 'adopt' }, b: { transport: 'unix', birth: 'adopt' } },
  { name: 'tcp-accepted', a: { transport: 'tcp', birth: 'listen' }, b: { transport: 'tcp', birth: 'listen' } },
  { name: 'tcp-dialed', a: { transport: 'tcp', birth: 'dial' }, b: { transport: 'tcp', birth: 'dial' } },
  ...tlsPairings,
]

/** For `who`: every contestant that has a data plane. */
export function joins(contestant: Contestant): boolean {
  return contestant.plane !== undefined
}

/** For `who`: the native engine in its three modes. */
export function native(contestant: Contestant): boolean {
  return contestant.plane?.kind === 'native'
}

const counts = new Map<string, number>()

/** Registers one test for every contestant on every pairing; `direct` only where both sides are of one transport. */
export function contract(name: string, where: Where, body: (bench: Bench) => Promise<void>): void {
  const on = where.on ?? everyPairing
  const onLanes = where.lanes !== 'no' && tlsPairings.every((one) => on.includes(one))
  for (const contestant of contestants.filter(where.who ?? (() => true))) {
    for (const pairing of onLanes ? [...on, ...lanePairings] : on) {
      if (lanePairings.includes(pairing) && !takesLanes(contestant, pairing)) continue
      // The engine's modes concern plain sockets.
      if (tlsPairings.includes(pairing) && (contestant.mode === 'copy' || contestant.mode === 'splice')) continue
      if (contestant.plane === undefined && !everyTransport.some((one) => one === pairing && isPure(one))) continue
      counts.set(contestant.label, (counts.get(contestant.label) ?? 0) + 1)
      test(`${name} [${contestant.label} ${pairing.name}]`, { timeout: 180_000 }, async (t) => {
        await body({
          t,
          contestant,
          pairing,
          open: (options, prepare) => joined(contestant, pairing, t, options, prepare),
        })
      })
    }
  }
}

/** Runs the tests registered in `body` side by side: for those that mostly wait, and measure nothing of the process. */
export function together(name: string, body: () => void): void {
  describe(name, { concurrency: 16 }, body)
}

/** What {@link ended} expects. */
export interface Expected {
  readonly reason: EndReason | readonly EndReason[]
  /** Exact byte counts; left out where the script does not fix them. */
  readonly aToB?: number
  readonly bToA?: number
}

const reasons: readonly EndReason[] = [
  'eof',
  'reset',
  'idle',
  'half-closed-idle',
  'limit',
  'stalled',
  'aborted',
  'truncated',
  'error',
]
const paths: readonly Path[] = ['splice', 'copy', 'tls', 'stream']

/** Waits for the end of a join and checks everything that is true of every end. `direct` has no join: undefined. */
export async function ended(bed: Bed, expected: Expected): Promise<JoinResult | undefined> {
  const { join } = bed
  if (join === undefined) return undefined
  const result = await within(
    join.done,
    `the end of the join; a: ${bed.a.describe()}; b: ${bed.b.describe()}; aToB ${join.bytes.aToB} bToA ${join.bytes.bToA}`,
  )
  const wanted = typeof expected.reason === 'string' ? [expected.reason] : expected.reason
  const story = `reason ${result.reason} ${result.errno}; a: ${bed.a.describe()}; b: ${bed.b.describe()}`
  assert.ok(reasons.includes(result.reason), story)
  assert.ok(wanted.includes(result.reason), `wanted ${wanted.join(' or ')}: ${story}`)
  if (expected.aToB !== undefined) assert.equal(result.aToB, BigInt(expected.aToB), `aToB: ${story}`)
  if (expected.bToA !== undefined) assert.equal(result.bToA, BigInt(expected.bToA), `bToA: ${story}`)
  for (const direction of ['aToB', 'bToA'] as const) {
    assert.equal(join.bytes[direction], result[direction], 'bytes stays readable and equals the result')
    assert.ok(paths.includes(join.path[direction]) && paths.includes(result.path[direction]), 'a path of the list')
    assert.ok(result.spliced[direction] >= 0n && result.spliced[direction] <= result[direction], 'spliced ≤ all')
  }
  assert.ok(result.durationMs >= 0)
  assert.equal(await join.done, result, 'done is one result')
  return result
}

const thrown: unknown[] = []
process.on('unhandledRejection', (reason) => {
  thrown.push(reason)
})
process.on('uncaughtExceptionMonitor', (error) => {
  thrown.push(error)
})
after(() => {
  assert.deepEqual(thrown, [], 'nothing throws later, whatever the peers do')
  assert.equal(laneFaults(), 0, 'no end of a lane says what the other does not understand')
})
process.on('exit', () => {
  const line = [...counts].map(([label, count]) => `${label} ${count}`).join(', ')
  if (line !== '') console.log(`contract cases: ${line}`)
})

/** Whether a contestant can be joined on a pairing with a lane. The engine's modes concern plain sockets, and lanes on them. */
export function takesLanes({ plane, mode }: Contestant, { a, b }: Pairing): boolean {
  if (plane === undefined) return false
  const sides = [a.lane, b.lane].filter((side) => side !== undefined)
  const fixed = mode === 'copy' || mode === 'splice'
  return sides.every((side) => farPlane(plane, side) !== undefined && !(fixed && side.tls))
}

function lanes(name: string, a: LaneSide | undefined, b: LaneSide | undefined): Pairing {
  const plain = { transport: 'tcp', birth: 'listen' } as const
  return { name, a: { ...plain, ...(a && { lane: a }) }, b: { ...plain, ...(b && { lane: b }) } }
}

function pairing(name: string, a: Transport, b: Transport): Pairing {
  return { name, a: { transport: a, birth: 'listen' }, b: { transport: b, birth: 'dial' } }
}

function isPure(one: Pairing): boolean {
  return one.a.transport === one.b.transport
}
