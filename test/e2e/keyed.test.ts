/** Lanes carry one visitor after another, and nothing of any to another, whichever data planes are at their ends. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createDataPlane } from '../../src/dataplane/create.ts'
import type { DataPlaneMode } from '../../src/dataplane/types.ts'
import { startAgent, tcpTunnel } from '../agent/setup.ts'
import { RelayBed, token } from '../relay/relay-bed.ts'
import { KeyedService, type Outcome, sendKeyed } from './keyed.ts'

const planes = { native: createDataPlane('native'), stream: createDataPlane('stream') }
const ends: readonly (readonly [DataPlaneMode & keyof typeof planes, DataPlaneMode & keyof typeof planes])[] =
  planes.native.kind === 'native'
    ? [
        ['native', 'native'],
        ['native', 'stream'],
        ['stream', 'native'],
        ['stream', 'stream'],
      ]
    : [['stream', 'stream']]

/** `npm run soak:lanes` asks for more. */
const visitors = Number(process.env['MILLRACE_KEYED_VISITORS'] ?? 150)
const most = visitors > 1_000 ? 400_000 : 150_000

describe('keyed visitors over lanes', () => {
  for (const [relay, agent] of ends) {
    for (const plain of [false, true]) {
      it(`relay ${relay}, agent ${agent}, ${plain ? 'plain' : 'TLS'}`, { timeout: 1_200_000 }, async (t) => {
        const outcome: Outcome = { visits: 0, bytes: 0, astray: 0, incomplete: 0 }
        const service = await KeyedService.start(outcome)
        t.after(() => service.close())
        const settings = { allowPlain: plain, limits: { pool: 4 } }
        const bed = await RelayBed.start(t, settings, [], planes[relay])
        const before = planes[relay].stats().total.lanes
        const tunnel = tcpTunnel(service.port)
        const { up } = startAgent(t, bed.port('tunnel'), tunnel, {
          dataPlane: planes[agent],
          token,
          plain,
          trust: { kind: 'none' },
        })
        const [url = ''] = await up
        await sendKeyed(Number(new URL(url).port), outcome, { visitors, atOnce: 8, seed: 7, most })
        const { faults, visits } = planes[relay].stats().total.lanes
        t.diagnostic(`${outcome.visits} visitors, ${visits - before.visits} visits on lanes, ${outcome.bytes} bytes`)
        assert.deepEqual(
          { ...outcome, bytes: 0, faults: faults - before.faults },
          { visits: visitors, bytes: 0, astray: 0, incomplete: 0, faults: 0 },
        )
      })
    }
  }
})
