import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ReturnQueue } from '../../src/relay/return-queue.ts'
import type { Tunnel } from '../../src/relay/tunnel.ts'

const tunnel = (address: string): Tunnel => ({ protocol: 'http', address }) as Tunnel

describe('ReturnQueue', () => {
  it('tells those who wait for an address, in the order of their coming, and nobody else', () => {
    const queue = new ReturnQueue({ limit: 10, timeoutMs: 60_000 })
    const told: string[] = []
    const wait = (name: string, address: string): void => {
      queue.wait(['http'], address, (back) => told.push(`${name} ${back?.address}`))
    }
    wait('a', 'x')
    wait('b', 'y')
    wait('c', 'x')
    const gone = queue.wait(['http'], 'x', () => told.push('gone'))
    assert(gone !== undefined)
    queue.cancel(gone)
    queue.arrived(tunnel('x'))
    assert.deepEqual(told, ['a x', 'c x'])
    queue.close()
    assert.deepEqual(told, ['a x', 'c x', 'b undefined'])
  })

  it('is bounded in number and time', async () => {
    const queue = new ReturnQueue({ limit: 1, timeoutMs: 20 })
    const back = new Promise((resolve) => assert(queue.wait(['http'], 'x', resolve) !== undefined))
    assert.equal(
      queue.wait(['http'], 'x', () => assert.fail('refused')),
      undefined,
    )
    assert.equal(await back, undefined)
    assert.equal(queue.size, 0)
  })
})
