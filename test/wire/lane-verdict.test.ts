import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeLaneHeader, encodeLaneHeader, type LaneFrameType } from '../../src/wire/lane-frame.ts'
import {
  judgeLaneFrame,
  type LaneEnd,
  type LaneRole,
  type LaneState,
  type LaneVerdict,
} from '../../src/wire/lane-verdict.ts'
import { maxLaneData, maxLaneOpen } from '../../src/wire/limits.ts'

const ends: readonly LaneEnd[] = ['none', 'end', 'reset']
const types: readonly LaneFrameType[] = ['open', 'data', 'end', 'reset']
const roles: readonly LaneRole[] = ['opens', 'accepts']
const fittingLength = { open: 1, data: 1, end: 0, reset: 4 } as const

/** The columns of docs/protocol.md's table. */
type Column = 'no visit' | 'nothing over' | 'after END' | 'after RESET'

/** The table, row by row, without what it says in words. */
const table: Readonly<Record<'data' | 'end' | 'reset', Readonly<Record<Column, LaneVerdict>>>> = {
  data: { 'no visit': 'close', 'nothing over': 'deliver', 'after END': 'close', 'after RESET': 'close' },
  end: { 'no visit': 'close', 'nothing over': 'end', 'after END': 'close', 'after RESET': 'close' },
  reset: { 'no visit': 'close', 'nothing over': 'reset', 'after END': 'reset', 'after RESET': 'close' },
}

function columnOf(state: LaneState): Column {
  if (!state.active) return 'no visit'
  if (state.received === 'none') return 'nothing over'
  return state.received === 'end' ? 'after END' : 'after RESET'
}

function expected(state: LaneState, type: LaneFrameType, visit: number): LaneVerdict {
  const next = (state.visit + 1) & 255
  if (type === 'open') return state.role === 'accepts' && !state.active && visit === next ? 'begin' : 'close'
  const late = type === 'reset' && visit === (state.active ? (state.visit - 1) & 255 : state.visit)
  if (late && !state.active && state.received === 'end') return 'skip'
  if (late && state.active && state.fresh && state.receivedBefore === 'end') return 'skip'
  if (!state.active || visit !== state.visit) return 'close'
  const verdict = table[type][columnOf(state)]
  return verdict === 'deliver' && state.sent === 'reset' ? 'discard' : verdict
}

function* states(): Generator<LaneState> {
  for (const role of roles) {
    for (const visit of [0, 1, 7, 255]) {
      for (const received of ends) {
        for (const sent of ends) {
          for (const receivedBefore of ends) {
            for (const active of [true, false]) {
              const over = received !== 'none' && sent !== 'none'
              if (over === active) continue
              yield { role, visit, received, sent, receivedBefore, active, fresh: false }
              // A frame that ended the direction is one that came.
              if (active && received === 'none')
                yield { role, visit, received, sent, receivedBefore, active, fresh: true }
            }
          }
        }
      }
    }
  }
}

describe('the verdicts on the frames of a lane', () => {
  it('are those of the table, for every state, frame and number', () => {
    let checked = 0
    for (const state of states()) {
      for (const type of types) {
        for (let visit = 0; visit < 256; visit++) {
          const verdict = judgeLaneFrame(state, { type, visit, length: fittingLength[type] })
          const where = `${type} of ${visit} in ${JSON.stringify(state)}`
          assert.equal(verdict, expected(state, type, visit), where)
          checked++
        }
      }
    }
    assert.ok(checked > 200_000, `${checked}`)
  })
})

describe('the header of a frame', () => {
  it('is length, type, number and zero', () => {
    assert.equal(encodeLaneHeader({ type: 'open', visit: 1, length: 0x0203 }).toString('hex'), '0302000001010000')
    assert.equal(encodeLaneHeader({ type: 'data', visit: 255, length: 1 << 20 }).toString('hex'), '0000100002ff0000')
    assert.equal(encodeLaneHeader({ type: 'end', visit: 0, length: 0 }).toString('hex'), '0000000003000000')
    assert.equal(encodeLaneHeader({ type: 'reset', visit: 2, length: 4 }).toString('hex'), '0400000004020000')
  })

  it('comes back as it was, at the limits of each length', () => {
    const kept = [
      ['open', 1, maxLaneOpen],
      ['data', 1, maxLaneData],
      ['end', 0, 0],
      ['reset', 4, 4],
    ] as const
    for (const [type, min, max] of kept) {
      for (const length of [min, max]) {
        const header = { type, visit: 9, length }
        assert.deepEqual(decodeLaneHeader(encodeLaneHeader(header)), header)
      }
      for (const length of [min - 1, max + 1]) {
        if (length < 0) continue
        assert.equal(decodeLaneHeader(encodeLaneHeader({ type, visit: 9, length })), undefined, `${type} ${length}`)
      }
    }
  })

  it('is none with another type, with bytes where zero should be, and with a length of 32 bits', () => {
    for (const hex of ['0000000000010000', '0000000005010000', '00000000ff010000']) {
      assert.equal(decodeLaneHeader(Buffer.from(hex, 'hex')), undefined, hex)
    }
    for (const hex of ['0000000003010100', '0000000003010001', 'ffffffff02010000', '0000008002010000']) {
      assert.equal(decodeLaneHeader(Buffer.from(hex, 'hex')), undefined, hex)
    }
  })
})
