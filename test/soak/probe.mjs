/**
 * Preloaded into the relay and the agents of a soak: every MILLRACE_SOAK_SAMPLE_MS it writes a line of JSON about its
 * process, among those of the log. Heap is measured after a full collection, so that garbage is no growth.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = /** @type {() => void} */ (runInNewContext('gc'))
const tickMs = 10
const lag = monitorEventLoopDelay({ resolution: tickMs })
lag.enable()

const timer = setInterval(() => process.stdout.write(`${JSON.stringify(sample())}\n`), intervalMs())
timer.unref()

function sample() {
  // It measures from tick to tick.
  const late = (/** @type {number} */ ns) => Math.max(0, ns / 1e6 - tickMs)
  const lagMs = { p99: late(lag.percentile(99)), max: late(lag.max) }
  lag.reset()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return {
    event: 'soak.sample',
    ...descriptors(),
    rssKib: Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]),
    heapKib: Math.round((heapUsed + external) / 1024),
    lagP99Ms: lagMs.p99,
    lagMaxMs: lagMs.max,
    cpuMs: (user + system) / 1_000,
  }
}

/** Pipes are counted by their ends. */
function descriptors() {
  const seen = { sockets: 0, pipes: 0, others: 0 }
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const link = readlinkSync(`/proc/self/fd/${name}`)
      if (link.startsWith('socket:')) seen.sockets += 1
      else if (link.startsWith('pipe:')) seen.pipes += 1
      else seen.others += 1
    } catch {
      // The listing's own descriptor.
    }
  }
  return seen
}

function intervalMs() {
  const given = Number(process.env['MILLRACE_SOAK_SAMPLE_MS'])
  return given > 0 ? given : 5_000
}
