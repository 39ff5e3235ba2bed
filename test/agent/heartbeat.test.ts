import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Heartbeat, ping2Heartbeat, plainHeartbeat } from '../../src/agent/heartbeat.ts'
import { Mailbox } from './events.ts'

describe('the heartbeat', () => {
  it('has the times of the protocol', () => {
    assert.deepEqual(plainHeartbeat, { intervalMs: 20_000, silenceMs: 35_000 })
    assert.deepEqual(ping2Heartbeat, { intervalMs: 5_000, silenceMs: 10_000 })
  })

  it('gives up a silent peer, once', async () => {
    const dead = new Mailbox<number>('the verdict')
    let pings = 0
    const began = performance.now()
    const heartbeat = new Heartbeat(
      { intervalMs: 20, silenceMs: 100 },
      {
        ping: () => {
          pings += 1
        },
        dead: () => dead.put(performance.now()),
      },
    )
    const at = await dead.next()
    // Timers count in whole ms.
    assert.ok(at - began >= 99, `${at - began} ms`)
    assert.ok(pings > 0)
    const pingsAtDeath = pings
    await new Promise((resolve) => setTimeout(resolve, 60))
    assert.equal(pings, pingsAtDeath)
    assert.equal(dead.waiting, 0)
    heartbeat.stop()
  })

  it('keeps a peer that answers', async () => {
    const seen = new Mailbox<string>('a ping')
    const heartbeat = new Heartbeat(
      { intervalMs: 20, silenceMs: 10_000 },
      {
        ping: () => {
          heartbeat.heard()
          seen.put('ping')
        },
        dead: () => seen.put('dead'),
      },
    )
    for (let i = 0; i < 5; i++) assert.equal(await seen.next(), 'ping')
    heartbeat.stop()
  })

  it('hears what arrived while the process was busy', async () => {
    const seen = new Mailbox<string>('something')
    const heartbeat = new Heartbeat(
      { intervalMs: 1_000_000, silenceMs: 50 },
      { ping: () => undefined, dead: () => seen.put('dead') },
    )
    // What the peer sent during the busy time is read in the poll phase of the same turn, after the timers.
    setTimeout(() => {
      const until = performance.now() + 100
      while (performance.now() < until);
      setImmediate(() => {
        heartbeat.heard()
        seen.put('heard')
      })
    }, 10)
    assert.equal(await seen.next(), 'heard')
    heartbeat.stop()
    assert.equal(seen.waiting, 0)
  })
})
