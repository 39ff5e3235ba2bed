import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Lane, type LaneEvent } from '../../src/wire/lane.ts'
import type { LaneEnd } from '../../src/wire/lane-verdict.ts'

/** What one end has said in one visit, for the other end to be compared with. */
interface Said {
  readonly bytes: number[]
  last: LaneEnd
}

/** One end of a lane, the pipe from it, and the oracle's notes. Visits are counted without modulo. */
class End {
  readonly lane: Lane
  readonly name: number
  pipe = Buffer.alloc(0)
  visit = 0
  readonly said: Said[] = [{ bytes: [], last: 'reset' }]
  /** What has been heard of the visit. */
  heard: { bytes: number; last: LaneEnd } = { bytes: 0, last: 'reset' }

  constructor(role: 'opens' | 'accepts') {
    this.name = role === 'opens' ? 0 : 128
    this.lane = new Lane(role, (bytes) => {
      this.pipe = Buffer.concat([this.pipe, bytes])
    })
  }

  get now(): Said {
    return this.said[this.visit] ?? assert.fail('no visit')
  }

  begin(): void {
    this.visit++
    this.said.push({ bytes: [], last: 'none' })
    this.heard = { bytes: 0, last: 'none' }
  }

  /** Bytes that nothing but this place of this visit's stream has. */
  keyed(length: number): Buffer {
    const { bytes } = this.now
    return Buffer.from(Array.from({ length }, (_, i) => keyOf(this.name, this.visit, bytes.length + i)))
  }
}

function keyOf(name: number, visit: number, place: number): number {
  return (name + visit * 31 + place * 7) & 255
}

/** One step of one end: what it does, and with how much. */
type Step = readonly ['open' | 'data' | 'end' | 'reset' | 'hear' | 'turn', boolean, number]

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.tuple(
    fc.constantFrom('open', 'open', 'data', 'end', 'reset', 'hear', 'hear', 'hear'),
    fc.boolean(),
    fc.integer({ min: 1, max: 40 }),
  ),
  { maxLength: 120 },
)

function hear(to: End, from: End, count: number): void {
  const bytes = from.pipe.subarray(0, count)
  from.pipe = from.pipe.subarray(bytes.length)
  for (const event of to.lane.receive(bytes)) check(to, from, event)
  // An end that is reset in a visit says so by itself.
  if (to.heard.last === 'reset' && to.now.last === 'none') to.now.last = 'reset'
}

function check(to: End, from: End, event: LaneEvent): void {
  assert.notEqual(event.kind, 'fault')
  if (event.kind === 'open') {
    to.begin()
    assert.equal(event.payload.readUInt32LE(0), to.visit)
    return
  }
  const said = from.said[to.visit] ?? assert.fail('of a visit that never was')
  if (event.kind === 'data') {
    assert.equal(to.heard.last, 'none')
    assert.notEqual(to.now.last, 'reset', 'bytes behind its own reset')
    for (const byte of event.bytes) {
      assert.equal(byte, said.bytes[to.heard.bytes], `visit ${to.visit}, byte ${to.heard.bytes}`)
      to.heard.bytes++
    }
    return
  }
  assert.ok(event.kind === 'reset' || event.kind === 'end')
  if (event.kind === 'reset') assert.equal(said.last, 'reset', 'nobody has reset this visit')
  else if (to.now.last !== 'reset') assert.equal(to.heard.bytes, said.bytes.length, 'an end with bytes missing')
  to.heard.last = event.kind
}

function act(end: End, [what, , size]: Step): void {
  if (what === 'open') {
    if (end.name !== 0 || !end.lane.free) return
    end.begin()
    const payload = Buffer.alloc(4)
    payload.writeUInt32LE(end.visit)
    end.lane.open(payload)
  } else if (what === 'data') {
    const bytes = end.keyed(size)
    if (end.lane.data(bytes)) end.now.bytes.push(...bytes)
  } else if (what === 'end') {
    if (end.lane.end()) end.now.last = 'end'
  } else if (end.lane.reset('connection')) {
    end.now.last = 'reset'
  }
}

/** Two things at once: the relay ends one visit and begins the next, the agent resets what it has ended. */
function turn(end: End, [, , size]: Step): void {
  act(end, ['end', false, size])
  act(end, [end.name === 0 ? 'open' : 'reset', false, size])
}

function run(script: readonly Step[]): void {
  const relay = new End('opens')
  const agent = new End('accepts')
  for (const step of script) {
    const [end, other] = step[1] ? [relay, agent] : [agent, relay]
    if (step[0] === 'hear') hear(end, other, step[2])
    else if (step[0] === 'turn') turn(end, step)
    else act(end, step)
  }
  // Whatever happened, the lane is free when both have ended and everything has come.
  hear(agent, relay, Number.POSITIVE_INFINITY)
  act(agent, ['end', false, 1])
  act(relay, ['end', true, 1])
  for (let i = 0; i < 3; i++) {
    hear(relay, agent, Number.POSITIVE_INFINITY)
    hear(agent, relay, Number.POSITIVE_INFINITY)
  }
  assert.ok(relay.lane.free && agent.lane.free, 'not free')
  assert.equal(relay.visit, agent.visit)
}

/** Events with neighbouring data in one, as how it was cut is nobody's business. */
function summed(events: readonly LaneEvent[]): string {
  return events.map((event) => (event.kind === 'data' ? event.bytes.toString('hex') : ` ${event.kind} `)).join('')
}

describe('two ends of a lane', () => {
  it('bring every visit its own bytes and ends, whatever happens when', () => {
    fc.assert(fc.property(steps, run), { numRuns: 2000 })
  })

  it('end in the same whatever order late resets come in', () => {
    const busy = fc.array(
      fc.tuple(
        fc.constantFrom('open', 'turn', 'turn', 'hear', 'hear', 'hear'),
        fc.boolean(),
        fc.integer({ min: 1, max: 13 }),
      ),
      { minLength: 40, maxLength: 200 },
    )
    fc.assert(fc.property(busy, run), { numRuns: 1500 })
  })
})

describe('hostile frames', () => {
  const frame = fc
    .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 5 }))
    .map(([type, visit, length]) =>
      Buffer.concat([Buffer.from([length, 0, 0, 0, type, visit, 0, 0]), Buffer.alloc(length, 7)]),
    )
  const bytes = fc
    .array(fc.oneof(frame, fc.uint8Array({ maxLength: 9 })), { maxLength: 12 })
    .map((parts) => Buffer.concat(parts))

  it('mean the same however they are cut', () => {
    const property = fc.property(bytes, fc.integer({ min: 1, max: 9 }), (all, size) => {
      const whole = new Lane('accepts', () => undefined)
      const cut = new Lane('accepts', () => undefined)
      const events: LaneEvent[] = []
      for (let at = 0; at < all.length; at += size) events.push(...cut.receive(all.subarray(at, at + size)))
      assert.equal(summed(events), summed(whole.receive(all)))
      assert.deepEqual(cut.state, whole.state)
    })
    fc.assert(property, { numRuns: 3000 })
  })

  it('bring nothing before an OPEN, nothing behind an end, and one fault at most, as the last', () => {
    const property = fc.property(bytes, (all) => {
      const lane = new Lane('accepts', () => undefined)
      let open = false
      for (const event of lane.receive(all)) {
        assert.ok(!lane.faulty || event.kind !== 'fault' || lane.receive(all).length === 0)
        if (event.kind === 'open') {
          open = true
          continue
        }
        if (event.kind === 'data') assert.ok(open, 'data of nobody')
        if (event.kind === 'end' || event.kind === 'fault') open = false
      }
    })
    fc.assert(property, { numRuns: 3000 })
  })
})
