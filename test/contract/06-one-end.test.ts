import { strict as assert } from 'node:assert'
import type { JoinResult } from '../../src/dataplane/types.ts'
import { MillraceError } from '../../src/errors.ts'
import { type Bed, connected, joinUp } from './harness/bed.ts'
import {
  adopted,
  type Bench,
  contract,
  ended,
  everyPairing,
  joins,
  tcp,
  tlsPairings,
  together,
  unix,
} from './harness/contract.ts'
import { random } from './harness/pattern.ts'
import { sleep, turns, within } from './harness/wait.ts'

const where = { who: joins, on: everyPairing }
const fewer = { who: joins, on: [tcp, unix, adopted, ...tlsPairings] }

/** Opens a join that writes down every call of onEnd, and in which order it and `done` came. */
async function watched(bench: Bench): Promise<{ readonly bed: Bed; readonly story: string[]; calls: JoinResult[] }> {
  const story: string[] = []
  const calls: JoinResult[] = []
  const bed = await bench.open({
    onEnd: (result, join) => {
      story.push(join === bed.join ? 'onEnd' : 'onEnd of another join')
      calls.push(result)
    },
  })
  assert.ok(bed.join)
  void bed.join.done.then(() => story.push('done'))
  return { bed, story, calls }
}

const endings: readonly (readonly [string, (bed: Bed) => Promise<void> | void])[] = [
  [
    'FIN from both',
    (bed) => {
      bed.a.end()
      bed.b.end()
    },
  ],
  [
    'a reset',
    (bed) => {
      bed.a.reset()
    },
  ],
  [
    'resets from both',
    (bed) => {
      bed.a.reset()
      bed.b.reset()
    },
  ],
  [
    'FIN from one and a reset from the other',
    (bed) => {
      bed.a.end()
      bed.b.reset()
    },
  ],
  [
    'destroy()',
    (bed) => {
      bed.join?.destroy()
    },
  ],
  [
    'destroy() and both FIN',
    (bed) => {
      bed.a.end()
      bed.b.end()
      bed.join?.destroy()
    },
  ],
  [
    'a reset and destroy() a little later',
    async (bed) => {
      bed.b.reset()
      await turns(1)
      bed.join?.destroy()
    },
  ],
]

together('one end', () => {
  for (const [name, finish] of endings) {
    contract(`contract/6 one end: ${name}`, where, async (bench) => {
      const { bed, story, calls } = await watched(bench)
      await bed.a.send(1_000)
      await bed.b.untilReceived(1_000)
      await finish(bed)
      // A peer that saw a close says goodbye too, as unix sockets have no reset.
      void bed.a.untilOver().then(() => {
        bed.a.end()
      })
      void bed.b.untilOver().then(() => {
        bed.b.end()
      })
      const result = await ended(bed, { reason: ['eof', 'reset', 'aborted'], aToB: 1_000 })
      bed.join?.destroy()
      await sleep(30)
      assert.deepEqual(story, ['onEnd', 'done'])
      assert.equal(calls[0], result, 'onEnd and done have the same result')
    })
  }

  contract('contract/6 destroy() in the turn of the join', fewer, async (bench) => {
    const { bed, story } = await watched(bench)
    bed.join?.destroy()
    assert.deepEqual(story, [], 'nothing is called from within the call')
    await ended(bed, { reason: 'aborted', aToB: 0, bToA: 0 })
    await bed.a.untilOver()
    await bed.b.untilOver()
    await sleep(20)
    assert.deepEqual(story, ['onEnd', 'done'])
  })

  contract('contract/6 `done` asked for long after the end', fewer, async ({ open }) => {
    const bed = await open()
    const ending = new Promise<void>((resolve) => {
      bed.a.socket.once('close', () => {
        resolve()
      })
    })
    bed.a.end()
    bed.b.end()
    await within(ending, 'the end')
    await sleep(50)
    await ended(bed, { reason: 'eof', aToB: 0, bToA: 0 })
  })

  contract('contract/6 both endpoints are used up by a join', fewer, async ({ contestant, pairing, t }) => {
    const { plane } = contestant
    assert.ok(plane)
    const a = await connected(plane, pairing.a, 'a', t)
    const b = await connected(plane, pairing.b, 'b', t)
    const c = await connected(plane, pairing.b, 'b', t)
    const bed = joinUp(plane, a, b, t)
    const isJoined = (error: unknown): boolean => error instanceof MillraceError && error.code === 'ERR_ENDPOINT_JOINED'
    await assert.rejects(async () => await a.endpoint.read(1_000), isJoined)
    await assert.rejects(async () => await b.endpoint.peek(1, 1_000), isJoined)
    await assert.rejects(async () => await b.endpoint.readHead(() => 0, 10, 1_000), isJoined)
    assert.throws(() => plane.join(a.endpoint, c.endpoint), isJoined)
    assert.throws(() => plane.join(c.endpoint, b.endpoint), isJoined)
    // None of that touched the join, nor the endpoint that was refused with them.
    await bed.a.send(5)
    await bed.b.untilReceived(5)
    await c.peer.send(3)
    assert.equal((await c.endpoint.read(30_000)).length, 3)
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 5, bToA: 0 })
  })

  contract('contract/6 an endpoint cannot be joined with itself', fewer, async ({ contestant, pairing, t }) => {
    const { plane } = contestant
    assert.ok(plane)
    const a = await connected(plane, pairing.a, 'a', t)
    assert.throws(
      () => plane.join(a.endpoint, a.endpoint),
      (error) => error instanceof MillraceError && error.code === 'ERR_SOCKET_SAME',
    )
  })

  contract('contract/6 bad options are refused before anything is taken', fewer, async ({ contestant, pairing, t }) => {
    const { plane } = contestant
    assert.ok(plane)
    const a = await connected(plane, pairing.a, 'a', t)
    const b = await connected(plane, pairing.b, 'b', t)
    const rate = plane.rateLimit(10)
    for (const options of [
      { idleMs: -1 },
      { stalledMs: Number.NaN },
      { aToB: { maxBytes: -1 } },
      { bToA: { maxBytes: 1.5 } },
      { aToB: { drive: 'caller', rate } as const },
      { aToB: { drive: 'caller', maxBytes: 5 } as const },
    ]) {
      assert.throws(
        () => plane.join(a.endpoint, b.endpoint, options),
        (error) => error instanceof MillraceError && error.code === 'ERR_OPTION',
      )
    }
    const bed = joinUp(plane, a, b, t)
    bed.a.socket.resume()
    bed.b.socket.resume()
    bed.a.end()
    bed.b.end()
    await ended(bed, { reason: 'eof', aToB: 0, bToA: 0 })
  })

  contract(
    'contract/6 joining an endpoint that was destroyed ends at once',
    fewer,
    async ({ contestant, pairing, t }) => {
      const { plane } = contestant
      assert.ok(plane)
      const a = await connected(plane, pairing.a, 'a', t)
      const b = await connected(plane, pairing.b, 'b', t)
      b.peer.socket.resume()
      a.endpoint.destroy('reset')
      let thrown: unknown
      try {
        const bed = joinUp(plane, a, b, t)
        await ended(bed, { reason: ['error', 'reset', 'aborted'], aToB: 0, bToA: 0 })
        await b.peer.untilOver()
      } catch (error) {
        thrown = error
      }
      // The caller's own mistake may be thrown, with its code; never anything else.
      if (thrown !== undefined) {
        assert.ok(thrown instanceof MillraceError && thrown.code === 'ERR_ENDPOINT_CLOSED')
      }
    },
  )

  contract('contract/6 hostile peers: everything at once, at random times', fewer, async ({ open, t }) => {
    const seed = Math.floor(Math.random() * 1_000_000)
    t.diagnostic(`seed ${seed}`)
    const next = random(seed)
    for (let round = 0; round < 12; round++) {
      const bed = await open({ idleMs: 3_000 })
      const acts = [bed.a, bed.b].map(async (peer) => {
        for (let step = 0; step < 6; step++) {
          const die = next()
          if (die < 0.4) void peer.send(1 + Math.floor(next() * 200_000))
          else if (die < 0.5) peer.end()
          else if (die < 0.6) peer.reset()
          else if (die < 0.7) peer.stall()
          else if (die < 0.8) peer.resume()
          else if (die < 0.85) bed.join?.destroy()
          else await sleep(next() * 4)
          if (next() < 0.5) await turns(1)
        }
        peer.resume()
        peer.end()
      })
      await Promise.all(acts)
      const result = await ended(bed, { reason: ['eof', 'reset', 'aborted', 'idle', 'half-closed-idle', 'truncated'] })
      assert.ok(result && result.aToB <= BigInt(bed.a.sent) && result.bToA <= BigInt(bed.b.sent))
    }
  })
})
