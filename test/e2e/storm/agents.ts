/** Many agents of ours in one process, each with a control connection, a web tunnel and what waits for its visitors. */
import { Agent } from '../../../src/agent/agent.ts'
import { createDataPlane } from '../../../src/dataplane/create.ts'
import type { LogFields, Logger } from '../../../src/observe/log.ts'

/** What the process is told in its argument, as JSON. */
export interface AgentsOrder {
  readonly count: number
  readonly port: number
  readonly token: string
}

/** What has happened since it was asked last. Times are those of `Date.now()`. */
export interface AgentsNews {
  /** Agents whose tunnel is up. */
  readonly online: number
  /** When agents tried, or will try, to reach the relay. */
  readonly dials: readonly number[]
  /** When agents lost it, when they were let in, when their tunnels were up. */
  readonly losses: readonly number[]
  readonly logins: readonly number[]
  readonly ups: readonly number[]
}

const order = JSON.parse(process.argv[2] ?? '') as AgentsOrder
const online = new Set<number>()
let [dials, losses, logins, ups]: number[][] = [[], [], [], []]

/** Hears what an agent does by what it logs. */
class Ear implements Logger {
  readonly #index: number

  constructor(index: number) {
    this.#index = index
  }

  info(event: string): void {
    const now = Date.now()
    if (event === 'agent.connected') logins?.push(now)
    if (event !== 'tunnel.up') return
    ups?.push(now)
    online.add(this.#index)
  }

  warn(event: string, fields: LogFields = {}): void {
    if (event !== 'agent.disconnected') return
    const now = Date.now()
    if (online.delete(this.#index)) losses?.push(now)
    dials?.push(now + Number(fields['retryInMs'] ?? 0))
  }

  debug(): void {}
  error(): void {}
  child(): Logger {
    return this
  }
}

process.on('message', () => {
  const news: AgentsNews = {
    online: online.size,
    dials: dials ?? [],
    losses: losses ?? [],
    logins: logins ?? [],
    ups: ups ?? [],
  }
  process.send?.(news)
  ;[dials, losses, logins, ups] = [[], [], [], []]
})
process.on('disconnect', () => process.exit())

const dataPlane = createDataPlane()
for (let index = 0; index < order.count; index++) {
  const agent = new Agent({
    dataPlane,
    log: new Ear(index),
    relay: { host: '127.0.0.1', port: order.port },
    trust: { kind: 'none' },
    token: order.token,
    plain: false,
    tunnels: [
      {
        protocol: 'http',
        subdomain: `agent-${index}`,
        target: { kind: 'tcp', host: '127.0.0.1', port: 1 },
        targetTrust: { kind: 'none' },
      },
    ],
  })
  agent.start().catch(() => undefined)
  // Not all at once: what is to be seen is how they come back.
  await new Promise((resolve) => setTimeout(resolve, 3))
}
