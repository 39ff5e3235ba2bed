import { connect } from 'node:net'
import type { Contender, Context } from '../lib/contender.ts'
import { Place } from '../lib/place.ts'
import { type Scenario, startService, takeTurns } from '../lib/scenario.ts'
import type { Figures } from '../lib/summary.ts'

/** What opens a connection that echoes messages of one byte (bench/load/common.h), and the first of them. */
function firstWords(): Buffer {
  const words = Buffer.alloc(17)
  words.write('E')
  words.writeBigUInt64LE(1n, 8)
  return words
}

function echoOnce(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => socket.write(firstWords()))
    socket.setTimeout(10_000, () => socket.destroy(new Error('nothing came back for 10 s')))
    socket.on('data', () => {
      resolve()
      socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed without an answer')))
  })
}

async function measure(contender: Contender): Promise<Figures> {
  const place = new Place({ pollMs: 1 })
  try {
    const context = place.context(await startService(place))
    let began: number | undefined
    // Files that a contender writes before it starts anything are not its programs' doing.
    const timed: Context = {
      ...context,
      spawn: (...words) => {
        began ??= performance.now()
        return context.spawn(...words)
      },
      script: (file, args, environment) => {
        began ??= performance.now()
        return context.script(file.replace(/proxy\.ts$/, 'built-proxy.mjs'), args, environment)
      },
    }
    const { port } = await contender.start(timed)
    await echoOnce(place.relayHost, port)
    return { first_byte_ms: performance.now() - (began ?? Number.NaN) }
  } finally {
    place.end()
  }
}

/** From nothing. */
export const cold: Scenario = {
  name: 'cold',
  about:
    'from the start of the first process to the first byte that comes back, ports looked at every millisecond; a tunnel’s agent starts once its relay accepts connections; ours run as built (dist)',
  contenders: ['hops', 'tunnels'],
  run: (bench) => {
    const names = bench.contenders.map(({ name }) => name)
    return takeTurns(bench, { scenario: 'cold', case: 'spawn to first byte' }, names, (name) => {
      const contender = bench.contenders.find((each) => each.name === name)
      if (contender === undefined) throw new Error(`there is no ${name}`)
      return measure(contender)
    })
  },
}
