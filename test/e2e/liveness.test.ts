/** An agent's host loses its power, or its way to the relay: nothing passes any more, and no FIN says so. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ping2Heartbeat, plainHeartbeat } from '../../src/agent/heartbeat.ts'
import { defaultTimings } from '../../src/agent/options.ts'
import { StateFile } from '../../src/agent/state-file.ts'
import { periodMs } from '../../src/relay/ticker.ts'
import { ping2SilenceMs, silenceMs } from '../../src/wire/limits.ts'
import { dataPlane, startAgent, startEcho, tcpTunnel } from '../agent/setup.ts'
import { FrameSocket } from '../relay/frame-socket.ts'
import { RelayBed, token } from '../relay/relay-bed.ts'
import { TestAgent } from '../relay/test-agent.ts'
import { Forwarder } from '../support/forwarder.ts'

/** A second is what it may take; a loaded machine gets some more, ms. */
const takeoverMs = 3_000

async function hears(visitor: FrameSocket, text: string): Promise<void> {
  visitor.write(text)
  assert.equal(await visitor.read(text.length), text)
}

describe('after a power loss', () => {
  it('the agent’s new process has its address within a second; running joins go on', async (t) => {
    const bed = await RelayBed.start(t, {}, [], dataPlane)
    const way = await Forwarder.to(t, bed.port('tunnel'))
    // The first process. Its proxy connections take another way, which stays, to show what becomes of the join.
    const { control, auth } = await TestAgent.greet(way.port, { token, extensions: ['ticket', 'ping2'] })
    t.after(() => control.destroy())
    const first = new TestAgent(bed.port('tunnel'), control, auth)
    t.after(() => first.destroy())
    first.echo()
    const { port, url } = await first.tcp()
    const running = await FrameSocket.plain(port)
    t.after(() => running.destroy())
    await hears(running, 'before')

    way.cut()
    const folder = await mkdtemp(join(tmpdir(), 'millrace-liveness-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const memory = new StateFile(folder, 'the agent')
    await memory.open()
    await memory.save({ clientId: first.clientId, addresses: [{ host: '', port }] })
    await memory.close()
    const began = performance.now()
    const state = new StateFile(folder, 'the agent')
    const options = { token, trust: { kind: 'none' as const }, state }
    const { up } = startAgent(t, way.port, tcpTunnel(await startEcho(t)), options)
    assert.deepEqual(await up, [url])
    const visitor = await FrameSocket.plain(port)
    t.after(() => visitor.destroy())
    await hears(visitor, 'after')
    const tookMs = performance.now() - began
    t.diagnostic(`from the new process's start to a visitor's answer: ${Math.round(tookMs)} ms`)
    assert(tookMs < takeoverMs, `${tookMs} ms`)
    await bed.tap.until('agent.disconnected', { reason: 'evicted' })
    assert.equal(bed.relay.counts.sessions, 1)
    await hears(running, 'still here')
  })

  it('both ends notice in time without a new login: 12 s with ping2, 41 s without', () => {
    // Where the times themselves are kept: test/relay/control-session.test.ts and test/agent/heartbeat.test.ts; with
    // real connections and in real time: npm run soak:liveness.
    assert.equal(ping2SilenceMs, 10_000)
    assert.equal(silenceMs, 30_000)
    assert(ping2SilenceMs + periodMs <= 12_000)
    assert(silenceMs + periodMs <= 41_000)
    assert(defaultTimings.heartbeat2 === ping2Heartbeat && ping2Heartbeat.silenceMs <= 12_000)
    assert(defaultTimings.heartbeat === plainHeartbeat && plainHeartbeat.silenceMs <= 41_000)
  })

  it('of its way alone, the agent comes back by itself and takes over from itself', async (t) => {
    const bed = await RelayBed.start(t, {}, [], dataPlane)
    const way = await Forwarder.to(t, bed.port('tunnel'))
    // A twentieth of the real times.
    const scale = 20
    const heartbeat2 = { intervalMs: ping2Heartbeat.intervalMs / scale, silenceMs: ping2Heartbeat.silenceMs / scale }
    const timings = { ...defaultTimings, heartbeat2 }
    const options = { token, trust: { kind: 'none' as const }, timings }
    const { log, up } = startAgent(t, way.port, tcpTunnel(await startEcho(t)), options)
    const [url = ''] = await up
    way.cut()
    const began = performance.now()
    const lost = await log.line('agent.disconnected')
    t.diagnostic(`noticed after ${Math.round(performance.now() - began)} ms (1/${scale} of the real times)`)
    assert.equal(lost.fields['reason'], 'nothing heard from the relay')
    assert.equal((await log.line('tunnel.up', 2)).fields['url'], url)
    t.diagnostic(`back after ${Math.round(performance.now() - began)} ms`)
    await bed.tap.until('agent.disconnected', { reason: 'evicted' })
    const visitor = await FrameSocket.plain(Number(new URL(url).port))
    t.after(() => visitor.destroy())
    await hears(visitor, 'hello again')
  })
})
