import { setImmediate as turn } from 'node:timers/promises'
import { adopted, contract, ended, everyPairing, tcp, tcpToUnix, tlsPairings, unix } from './harness/contract.ts'
import { random } from './harness/pattern.ts'
import type { Peer } from './harness/peer.ts'
import { sleep } from './harness/wait.ts'

/** Sends `total` bytes in pieces of every size, now and then pausing. */
async function sendRaggedly(peer: Peer, total: number, seed: number): Promise<void> {
  const next = random(seed)
  for (let left = total; left > 0; ) {
    const scale = [1, 100, 1_500, 20_000, 120_000][Math.floor(next() * 5)] ?? 1
    const length = Math.min(left, 1 + Math.floor(next() * scale))
    await peer.send(length, 1 + Math.floor(next() * 65_536))
    left -= length
    if (next() < 0.3) await turn()
  }
}

/** Reads with pauses until `total` bytes are there. */
async function readRaggedly(peer: Peer, total: number, seed: number): Promise<void> {
  const next = random(seed)
  while (peer.received < total && !peer.closed) {
    peer.stall()
    await sleep(next() * 8)
    const before = peer.received
    peer.resume()
    await peer.until('more bytes', () => peer.received > before || peer.closed)
  }
}

contract('contract/1 nothing at all', {}, async ({ open }) => {
  const bed = await open()
  bed.a.end()
  bed.b.end()
  await bed.a.untilFin(0)
  await bed.b.untilFin(0)
  await ended(bed, { reason: 'eof', aToB: 0, bToA: 0 })
})

contract('contract/1 one byte each way', {}, async ({ open }) => {
  const bed = await open()
  await bed.a.send(1)
  await bed.b.untilReceived(1)
  await bed.b.send(1)
  await bed.a.untilReceived(1)
  bed.a.end()
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: 1, bToA: 1 })
})

contract('contract/1 ragged chunks both ways at once', {}, async ({ open }) => {
  const bed = await open()
  const total = 700_001
  const sending = [sendRaggedly(bed.a, total, 11), sendRaggedly(bed.b, total, 12)]
  await bed.b.untilReceived(total)
  await bed.a.untilReceived(total)
  await Promise.all(sending)
  bed.a.end()
  bed.b.end()
  await bed.a.untilFin(total)
  await bed.b.untilFin(total)
  await ended(bed, { reason: 'eof', aToB: total, bToA: total })
})

contract('contract/1 readers that pause', { on: [tcp, unix, tcpToUnix, adopted, ...tlsPairings] }, async ({ open }) => {
  const bed = await open()
  const total = 3_000_000
  const all = [
    bed.a.send(total),
    sendRaggedly(bed.b, total, 13),
    readRaggedly(bed.b, total, 14),
    readRaggedly(bed.a, total, 15),
  ]
  await Promise.all(all)
  bed.a.end()
  bed.b.end()
  await bed.a.untilFin(total)
  await bed.b.untilFin(total)
  await ended(bed, { reason: 'eof', aToB: total, bToA: total })
})

contract('contract/1 one-byte writes', { on: [tcp, unix, tcpToUnix, ...tlsPairings] }, async ({ open }) => {
  const bed = await open()
  const total = 3_000
  for (let sent = 0; sent < total; sent++) {
    await Promise.all([bed.a.send(1), bed.b.send(1)])
    if (sent % 100 === 99) await bed.b.untilReceived(sent + 1)
  }
  await bed.a.untilReceived(total)
  bed.a.end()
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: total, bToA: total })
})

contract('contract/1 ping-pong of every size', { on: everyPairing }, async ({ open }) => {
  const bed = await open()
  let total = 0
  for (const size of [1, 2, 100, 1_448, 4_095, 4_096, 16_384, 65_535, 65_536, 65_537, 262_144]) {
    total += size
    await bed.a.send(size)
    await bed.b.untilReceived(total)
    await bed.b.send(size)
    await bed.a.untilReceived(total)
  }
  bed.a.end()
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: total, bToA: total })
})

const bulk = 24 * 1_048_576

contract('contract/1 bulk one way', { on: [tcp, unix, adopted, ...tlsPairings] }, async ({ open }) => {
  const bed = await open()
  await bed.a.send(bulk)
  bed.a.end()
  await bed.b.untilFin(bulk)
  bed.b.end()
  await ended(bed, { reason: 'eof', aToB: bulk, bToA: 0 })
})

contract('contract/1 bulk both ways at once', { on: [tcp, tcpToUnix, ...tlsPairings] }, async ({ open }) => {
  const bed = await open()
  const sending = [bed.a.send(bulk), bed.b.send(bulk)]
  await Promise.all(sending)
  bed.a.end()
  bed.b.end()
  await bed.b.untilFin(bulk)
  await bed.a.untilFin(bulk)
  await ended(bed, { reason: 'eof', aToB: bulk, bToA: bulk })
})
