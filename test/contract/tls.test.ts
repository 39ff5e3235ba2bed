import { strict as assert } from 'node:assert'
import type { JoinOptions } from '../../src/dataplane/types.ts'
import { type Bed, joined, type Pairing } from './harness/bed.ts'
import { makeAuthority } from './harness/certificates.ts'
import { adopted, type Bench, contract, ended, joins, tcp, together, unix } from './harness/contract.ts'
import { random } from './harness/pattern.ts'
import { endpointOf } from './harness/raw.ts'
import { nodeSession, tlsOptions } from './harness/tls-bed.ts'
import { eventually, settled, sleep } from './harness/wait.ts'

const authority = await makeAuthority('millrace contract tests')
const where = { who: joins, on: [tcp, unix, adopted] }
const onTcp = { who: joins, on: [tcp] }

/** Which sides speak TLS: a as a server (a visitor's https), b as a client (a local https service). */
const combinations = ['tls-plain', 'plain-tls', 'tls-tls'] as const
type Combination = (typeof combinations)[number]

async function open(bench: Bench, combination: Combination, options: JoinOptions = {}): Promise<Bed> {
  const { a, b } = bench.pairing
  const pairing: Pairing = {
    name: combination,
    a: combination === 'plain-tls' ? a : { ...a, tls: 'server' },
    b: combination === 'tls-plain' ? b : { ...b, tls: 'client' },
  }
  return await joined(bench.contestant, pairing, bench.t, options)
}

together('TLS joins', () => {
  for (const combination of combinations) {
    contract(`tls: bytes both ways at once, ${combination}`, where, async (bench) => {
      const bed = await open(bench, combination)
      const next = random(7)
      let total = 0
      for (let count = 0; count < 40; count++) {
        const length = 1 + Math.floor(next() * 60_000)
        total += length
        void bed.a.send(length, 1 + Math.floor(next() * 30_000))
        void bed.b.send(length)
        if (next() < 0.3) await sleep(1)
      }
      await bed.b.untilReceived(total)
      await bed.a.untilReceived(total)
      assert.deepEqual({ ...bed.join?.path }, { aToB: 'tls', bToA: 'tls' })
      bed.a.end()
      bed.b.end()
      await bed.a.untilFin(total)
      await bed.b.untilFin(total)
      // The plain bytes count, not the records.
      const result = await ended(bed, { reason: 'eof', aToB: total, bToA: total })
      assert.deepEqual(result?.path, { aToB: 'tls', bToA: 'tls' })
      assert.deepEqual(result?.spliced, { aToB: 0n, bToA: 0n })
    })

    contract(`tls: half-close both ways, ${combination}`, onTcp, async (bench) => {
      for (const first of ['a', 'b'] as const) {
        const bed = await open(bench, combination)
        const [one, two] = first === 'a' ? [bed.a, bed.b] : [bed.b, bed.a]
        await one.send(100_000)
        one.end()
        await two.untilFin(100_000)
        await two.send(200_000)
        await one.untilReceived(200_000)
        assert.equal(one.ended, false)
        two.end()
        await one.untilFin(200_000)
        const [aToB, bToA] = first === 'a' ? [100_000, 200_000] : [200_000, 100_000]
        await ended(bed, { reason: 'eof', aToB, bToA })
      }
    })

    contract(`tls: bulk and FIN behind it, ${combination}`, onTcp, async (bench) => {
      const bed = await open(bench, combination)
      const size = 8 * 1_048_576
      await bed.a.send(size)
      bed.a.end()
      await bed.b.untilFin(size)
      await bed.b.send(size)
      bed.b.end()
      await bed.a.untilFin(size)
      await ended(bed, { reason: 'eof', aToB: size, bToA: size })
    })

    contract(`tls: a reset below the session, ${combination}`, onTcp, async (bench) => {
      for (const who of ['a', 'b'] as const) {
        const bed = await open(bench, combination)
        await bed[who].send(50_000)
        const other = who === 'a' ? bed.b : bed.a
        await other.untilReceived(50_000)
        bed[who].reset()
        await other.until('the end', () => other.wasReset || other.closed)
        assert.equal(other.ended, false, 'a reset is not a clean end')
        const [aToB, bToA] = who === 'a' ? [50_000, 0] : [0, 50_000]
        await ended(bed, { reason: 'reset', aToB, bToA })
      }
    })

    contract(`tls: live counters are exact, ${combination}`, onTcp, async (bench) => {
      const bed = await open(bench, combination)
      const { join } = bed
      assert.ok(join)
      let total = 0
      for (const size of [1, 5_000, 120_000]) {
        total += size
        await bed.a.send(size)
        await bed.b.untilReceived(total)
        await eventually('the counter', () => join.bytes.aToB === BigInt(total))
      }
      join.destroy()
      await ended(bed, { reason: 'aborted', aToB: total, bToA: 0 })
    })

    contract(`tls: a stalled sink stops its source, ${combination}`, onTcp, async (bench) => {
      const bed = await open(bench, combination)
      bed.b.stall()
      const sending = bed.a.send(400 * 1_048_576)
      const accepted = await settled(() => bed.a.accepted, 500)
      assert.ok(accepted < 96 * 1_048_576, `${accepted} bytes`)
      bed.b.resume()
      await bed.b.until('more', () => bed.b.received > accepted)
      bed.join?.destroy()
      await ended(bed, { reason: 'aborted', bToA: 0 })
      await sending
    })
  }

  contract('tls: idle limit, maxBytes and rate hold for sessions as well', onTcp, async (bench) => {
    const rate = bench.contestant.plane?.rateLimit(200_000, 10_000)
    assert.ok(rate)
    const bed = await open(bench, 'tls-plain', { idleMs: 700, aToB: { maxBytes: 100_000, rate } })
    const began = performance.now()
    await bed.a.send(101_000)
    await bed.b.untilReceived(100_000)
    assert.ok(performance.now() - began > 300)
    await ended(bed, { reason: 'idle', aToB: 100_000, bToA: 0 })
    assert.deepEqual([bed.b.received, bed.b.ended], [100_000, false])
  })

  contract('tls: bytes read before the handshake belong to it', where, async (bench) => {
    const { plane } = bench.contestant
    assert.ok(plane)
    const { endpoint, socket } = await endpointOf(bench)
    socket.write('STARTTLS\n')
    const line = await endpoint.readHead((bytes) => bytes.indexOf('\n') + 1, 100, 30_000)
    assert.equal(line.toString(), 'STARTTLS\n')
    const session = nodeSession(socket, 'server', authority)
    // As the relay's tunnel port does: three bytes tell TLS from plain frames.
    assert.deepEqual((await endpoint.peek(3, 30_000)).subarray(0, 2), Buffer.from([0x16, 0x03]))
    const taken = await endpoint.read(30_000)
    endpoint.unread(taken)
    const secured = await plane.secure(endpoint, tlsOptions('server', authority))
    const client = await session
    assert.equal(secured.encrypted, true)
    assert.equal(secured.serverName, 'localhost')
    assert.deepEqual(secured.remote, endpoint.remote)
    client.write('hello over TLS\nrest')
    const hello = await secured.readHead((bytes) => bytes.indexOf('\n') + 1, 100, 30_000)
    assert.equal(hello.toString(), 'hello over TLS\n')
    assert.equal((await secured.read(30_000)).toString(), 'rest')
    secured.destroy()
  })
})
