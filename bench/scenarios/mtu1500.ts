import { execFileSync } from 'node:child_process'
import { buildLoad } from '../lib/load.ts'
import { which } from '../lib/machine.ts'
import { Place, type PlaceOptions } from '../lib/place.ts'
import { measureInRounds, type Scenario } from '../lib/scenario.ts'
import { bulkCase } from './bulk.ts'

// RFC 2544 reserves 198.18.0.0/15 for benchmarks.
const [relayHost, loadHost] = ['198.18.77.1', '198.18.77.2']

const run = (command: string, ...words: readonly string[]): void => {
  execFileSync(command, words, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Two network namespaces with a cable between them, which carries packets of 1 500 bytes. They end with `place`. */
function layCable(place: Place): PlaceOptions {
  const relay = `millrace-relay-${process.pid}`
  const load = `millrace-load-${process.pid}`
  for (const namespace of [relay, load]) {
    run('ip', 'netns', 'add', namespace)
    place.onEnd(() => run('ip', 'netns', 'del', namespace))
  }
  const device = 'veth0'
  run('ip', 'link', 'add', device, 'netns', relay, 'mtu', '1500', 'type', 'veth', 'peer', 'name', device, 'netns', load)
  for (const [namespace, host] of [
    [relay, relayHost],
    [load, loadHost],
  ] as const) {
    run('ip', '-n', namespace, 'address', 'add', `${host}/30`, 'dev', device)
    run('ip', 'netns', 'exec', namespace, buildLoad(), 'offloads', '--device', device)
    // The direct row stays within the load's namespace: on packets of the same size.
    run('ip', 'netns', 'exec', namespace, buildLoad(), 'offloads', '--device', 'lo')
    run('ip', '-n', namespace, 'link', 'set', 'lo', 'mtu', '1500', 'up')
    run('ip', '-n', namespace, 'link', 'set', device, 'up')
  }
  return { relayNamespace: relay, loadNamespace: load, relayHost, loadHost }
}

/** Packets as a network carries them. */
export const mtu1500: Scenario = {
  name: 'mtu1500',
  about:
    'one flow between two network namespaces over veth with an MTU of 1 500; segmentation and merging (tso, gso, gro) are off at both ends, checksums are left to the device, which computes none; packets are received on the core that sends them, so part of the relay’s work is done on the load’s core, and the other way round; direct goes over the load’s own loopback, set up alike',
  contenders: ['direct', 'node-pipe', 'copy', 'splice', 'adaptive', 'haproxy', 'haproxy-splice', 'nginx-stream'],
  run: async (bench) => {
    if (process.getuid?.() !== 0 || which('ip') === undefined) {
      bench.say('skipped: network namespaces need root and iproute2')
      return []
    }
    const outer = new Place()
    try {
      const place = layCable(outer)
      const bytes = Math.round(5e8 * bench.effort.scale)
      const cases = [bulkCase('1 flow down', 1, false, bytes), bulkCase('1 flow up', 1, true, bytes)]
      return await measureInRounds(bench, 'mtu1500', cases, { place })
    } finally {
      outer.end()
    }
  },
}
