import { type Case, measureInRounds, type Scenario } from '../lib/scenario.ts'

const kib = 1024
const sizes = [64, kib, 4 * kib, 16 * kib, 64 * kib, 256 * kib]
const connectionCounts = [1, 32, 256]

function sizeName(bytes: number): string {
  return bytes < kib ? `${bytes} B` : `${bytes / kib} KiB`
}

/** A case in which `connections` visitors send messages of `size` bytes and wait for each to come back. */
export function echoCase(size: number, connections: number, seconds: number): Case {
  return {
    name: `${sizeName(size)} x ${connections}`,
    measure: async (subject) => {
      const result = await subject.load({
        verb: 'echo',
        size,
        connections,
        seconds,
        warmup: Math.min(0.2, seconds / 4),
      })
      const speed = {
        round_trips_s: result.roundTrips / result.seconds,
        p50_us: result.p50,
        p99_us: result.p99,
      }
      if (subject.running.pids.length === 0) return speed
      return { ...speed, cpu_us_per_round_trip: (result.cpu / result.roundTrips) * 1e6 }
    },
  }
}

/** Ping-pong. */
export const echo: Scenario = {
  name: 'echo',
  about: 'messages of 64 B to 256 KiB that come back, on 1, 32 and 256 connections, one under way on each',
  contenders: ['*'],
  run: (bench) => {
    const seconds = bench.effort.scale
    const cases = sizes.flatMap((size) => connectionCounts.map((count) => echoCase(size, count, seconds)))
    return measureInRounds(bench, 'echo', cases)
  },
}
