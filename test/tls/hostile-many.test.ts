// Thousands of handshakes that never get anywhere.
import { strict as assert } from 'node:assert'
import type { Socket } from 'node:net'
import { after } from 'node:test'
import type { Endpoint } from '../../src/dataplane/types.ts'
import { Door } from '../contract/harness/door.ts'
import { connectNode } from '../contract/harness/sockets.ts'
import { tlsOptions } from '../contract/harness/tls-bed.ts'
import { eventually } from '../contract/harness/wait.ts'
import { hello } from './support/hello.ts'
import { type Arena, authority, goHome, hostile, outcomeOf, wired } from './support/hostile.ts'

after(goHome)

const halfOpen = 2_000
const timeoutMs = 4_000
const batch = 100
/** A session in mid-handshake has its buffers and keys; in Node there is a stream, a socket and their timers around it. */
const bytesEach = { native: 120 * 1_024, stream: 250 * 1_024 } as const

/** What a peer says before it falls silent. */
const silences: readonly (readonly [string, () => Buffer])[] = [
  ['nothing', () => Buffer.alloc(0)],
  ['half a hello', () => hello().subarray(0, 70)],
  ['a hello', () => hello()],
]

for (const [name, words] of silences) {
  hostile(`${halfOpen} peers that say ${name} and fall silent`, async (arena) => {
    const before = process.memoryUsage().rss
    const { outcomes, began, sockets } = await open(arena, words)
    const held = process.memoryUsage().rss - before
    arena.note(`${Math.round(held / halfOpen / 1_024)} KiB each, their sockets in this process included`)
    assert.ok(held < halfOpen * bytesEach[arena.plane.kind], `${held} bytes for ${halfOpen} handshakes`)
    // Others get through meanwhile.
    for (let count = 0; count < 20; count++) await handshake(arena)
    const codes = new Map<string, number>()
    for (const { code } of await Promise.all(outcomes)) codes.set(code, (codes.get(code) ?? 0) + 1)
    arena.note([...codes].map(([code, count]) => `${code} ${count}`).join(', '))
    assert.equal(codes.get('ERR_TLS_TIMEOUT'), halfOpen)
    const took = performance.now() - began
    assert.ok(took < timeoutMs + 60_000, `${took} ms`)
    await eventually('all have been ended', () => sockets.every((socket) => socket.closed))
    for (let count = 0; count < 20; count++) await handshake(arena)
  })
}

/** Opens them in batches, so that the listener's queue holds them. */
async function open(
  arena: Arena,
  words: () => Buffer,
): Promise<{ outcomes: ReturnType<typeof outcomeOf>[]; began: number; sockets: Socket[] }> {
  const door = await Door.open(arena.plane, 'tcp')
  arena.after(() => door.close())
  const tls = { ...tlsOptions('server', authority), handshakeTimeoutMs: timeoutMs }
  const outcomes: ReturnType<typeof outcomeOf>[] = []
  const sockets: Socket[] = []
  arena.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  const began = performance.now()
  while (sockets.length < halfOpen) {
    const some = await Promise.all(Array.from({ length: batch }, () => connectNode(door.target)))
    for (const socket of some) {
      socket.on('error', () => undefined)
      socket.on('end', () => socket.end())
      socket.resume()
      socket.write(words())
    }
    sockets.push(...some)
    const endpoints: Endpoint[] = []
    while (endpoints.length < batch) endpoints.push(await door.next())
    for (const endpoint of endpoints) outcomes.push(outcomeOf(arena.plane.secure(endpoint, tls)))
  }
  return { outcomes, began, sockets }
}

/** One of those who mean it. */
async function handshake(arena: Arena): Promise<void> {
  const { endpoint, wire } = await wired(arena, { near: 'server' })
  const [secured] = await Promise.all([
    arena.plane.secure(endpoint, tlsOptions('server', authority)),
    wire.established(),
  ])
  secured.destroy('reset')
  wire.destroy()
}
