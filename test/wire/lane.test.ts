import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Lane, type LaneEvent } from '../../src/wire/lane.ts'
import { maxLaneData, maxLaneOpen } from '../../src/wire/limits.ts'

/** A lane's end and what it has sent, in hex. */
function laneOf(role: 'opens' | 'accepts'): { readonly lane: Lane; readonly sent: () => string } {
  let out: Buffer[] = []
  const lane = new Lane(role, (bytes) => out.push(bytes))
  const sent = (): string => {
    const text = Buffer.concat(out).toString('hex')
    out = []
    return text
  }
  return { lane, sent }
}

function take(lane: Lane, ...frames: readonly string[]): readonly string[] {
  return lane.receive(Buffer.from(frames.join(''), 'hex')).map(shown)
}

function shown(event: LaneEvent): string {
  if (event.kind === 'open') return `open ${event.payload.toString('hex')}`
  if (event.kind === 'data') return `data ${event.bytes.toString('hex')}`
  return event.kind === 'reset' ? `reset ${event.reason}` : event.kind
}

const open1 = '0100000001010000aa'
const open2 = '0100000001020000bb'
const data1 = '02000000020100000102'
const end1 = '0000000003010000'
const end2 = '0000000003020000'
const reset1 = '040000000401000000000000'

describe('a lane', () => {
  it('carries one visit after another, the next OPEN in the segment of the last END', () => {
    const relay = laneOf('opens')
    relay.lane.open(Buffer.from('aa', 'hex'))
    relay.lane.data(Buffer.from('0102', 'hex'))
    assert.deepEqual(take(relay.lane, end1), ['end'])
    assert.equal(relay.lane.free, false)
    relay.lane.end()
    assert.equal(relay.lane.free, true)
    relay.lane.open(Buffer.from('bb', 'hex'))
    assert.equal(relay.sent(), open1 + data1 + end1 + open2)

    const agent = laneOf('accepts')
    assert.deepEqual(take(agent.lane, open1), ['open aa'])
    agent.lane.end()
    assert.deepEqual(take(agent.lane, data1, end1, open2), ['data 0102', 'end', 'open bb'])
    assert.equal(agent.sent(), end1)
  })

  it('answers a RESET with one, and is free then', () => {
    const { lane, sent } = laneOf('accepts')
    assert.deepEqual(take(lane, open1, data1, '040000000401000002000000'), ['open aa', 'data 0102', 'reset given-up'])
    assert.equal(sent(), reset1)
    assert.equal(lane.free, true)
    assert.equal(lane.data(Buffer.from('x')), false)
    assert.equal(lane.end(), false)
    assert.equal(lane.reset('connection'), false)
    assert.equal(sent(), '')
  })

  it('discards what comes behind its own RESET, in a frame that has begun as well', () => {
    const { lane } = laneOf('accepts')
    assert.deepEqual(take(lane, open1, data1.slice(0, 18)), ['open aa', 'data 01'])
    lane.reset('unreachable')
    assert.equal(lane.settling, true)
    assert.deepEqual(take(lane, data1.slice(18), data1, end1), ['end'])
    assert.equal(lane.free, true)
    assert.equal(lane.settling, false)
  })

  it('hears of a reset behind its own END, and of one behind the END of the peer', () => {
    const { lane, sent } = laneOf('accepts')
    assert.deepEqual(take(lane, open1, end1, reset1), ['open aa', 'end', 'reset connection'])
    assert.equal(sent(), reset1)
    const other = laneOf('accepts')
    take(other.lane, open1)
    other.lane.end()
    assert.deepEqual(take(other.lane, reset1), ['reset connection'])
    assert.equal(other.sent(), end1)
  })

  it('skips a RESET that crossed its END, once, before the next visit and as the first frame of it', () => {
    for (const before of [true, false]) {
      const { lane } = laneOf('opens')
      lane.open(Buffer.from('a'))
      take(lane, end1)
      lane.end()
      if (before) assert.deepEqual(take(lane, reset1), [])
      lane.open(Buffer.from('b'))
      if (!before) assert.deepEqual(take(lane, reset1), [])
      assert.deepEqual(take(lane, end2), ['end'])
      lane.end()
      assert.equal(lane.free, true)
    }
    const { lane } = laneOf('accepts')
    take(lane, open1, end1)
    lane.end()
    assert.deepEqual(take(lane, reset1, reset1), ['fault'])
  })

  it('leaves the next visit alone when its own END left in the middle of a RESET of the last', () => {
    const { lane } = laneOf('opens')
    lane.open(Buffer.from('a'))
    assert.deepEqual(take(lane, end1, reset1.slice(0, 18)), ['end'])
    lane.end()
    lane.open(Buffer.from('b'))
    assert.deepEqual(take(lane, reset1.slice(18)), [])
    assert.equal(lane.state.received, 'none')
    assert.deepEqual(take(lane, end2), ['end'])
  })

  it('takes nothing behind a fault, and says nothing', () => {
    const { lane, sent } = laneOf('accepts')
    assert.deepEqual(take(lane, open1, open2, open2), ['open aa', 'fault'])
    assert.deepEqual(take(lane, data1), [])
    assert.equal(lane.data(Buffer.from('x')) || lane.end() || lane.reset('connection'), false)
    assert.equal(sent(), '')
    assert.equal(lane.free, false)
  })

  it('judges a frame by its header, before its payload is there', () => {
    const { lane } = laneOf('accepts')
    assert.deepEqual(take(lane, open1.slice(0, 16), data1.slice(0, 2)), ['open 02'])
    assert.deepEqual(take(lane, '0000100002020000'), ['fault'])
  })

  it('cuts long data into frames, and refuses an OPEN that is none', () => {
    const { lane, sent } = laneOf('opens')
    assert.throws(() => lane.open(Buffer.alloc(0)), { code: 'ERR_FRAME_UNSENDABLE' })
    assert.throws(() => lane.open(Buffer.alloc(maxLaneOpen + 1)), { code: 'ERR_FRAME_UNSENDABLE' })
    lane.open(Buffer.alloc(maxLaneOpen))
    assert.throws(() => lane.open(Buffer.from('a')), { code: 'ERR_OPTION' })
    sent()
    lane.data(Buffer.alloc(maxLaneData + 1))
    const text = sent()
    assert.equal(text.slice(0, 16), '0000100002010000')
    assert.equal(text.slice(16 + 2 * maxLaneData), '010000000201000000')
    assert.throws(() => laneOf('accepts').lane.open(Buffer.from('a')), { code: 'ERR_OPTION' })
  })

  it('begins again at 0 behind the visit 255', () => {
    const pair = { relay: laneOf('opens'), agent: laneOf('accepts') }
    for (let visit = 1; visit <= 600; visit++) {
      pair.relay.lane.open(Buffer.from([visit & 255, visit >> 8]))
      pair.relay.lane.end()
      const events = take(pair.agent.lane, pair.relay.sent())
      assert.equal(events.length, 2, `${visit}`)
      pair.agent.lane.end()
      assert.deepEqual(take(pair.relay.lane, pair.agent.sent()), ['end'])
      assert.equal(pair.relay.lane.state.visit, visit & 255)
    }
  })
})
