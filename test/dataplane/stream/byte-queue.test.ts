import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteQueue } from '../../../src/dataplane/stream/byte-queue.ts'

function filled(...pieces: string[]): ByteQueue {
  const queue = new ByteQueue()
  for (const piece of pieces) queue.push(Buffer.from(piece))
  return queue
}

test('takes within, at and across the pieces it got', () => {
  const queue = filled('abc', '', 'def', 'gh')
  assert.equal(queue.length, 8)
  assert.equal(String(queue.take(2)), 'ab')
  assert.equal(String(queue.take(1)), 'c')
  assert.equal(String(queue.take(4)), 'defg')
  assert.equal(String(queue.take(0)), '')
  assert.equal(String(queue.take(1)), 'h')
  assert.equal(queue.length, 0)
})

test('view takes nothing', () => {
  const queue = filled('ab', 'cd')
  assert.equal(String(queue.view()), 'abcd')
  assert.equal(queue.length, 4)
  assert.equal(String(new ByteQueue().view()), '')
})

test('what is given back comes first', () => {
  const queue = filled('cd')
  queue.unshift(Buffer.from('ab'))
  assert.equal(String(queue.takePiece(10)), 'ab')
  assert.equal(String(queue.takePiece(1)), 'c')
  assert.deepEqual(queue.takeAll().map(String), ['d'])
  assert.equal(queue.takePiece(5).length, 0)
})
