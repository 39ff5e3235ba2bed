/**
 * Agents without tunnels, many in one process, on the stream data plane: what they cost is the load's. argv: the relay's
 * address and port, its certificate's file, how many. Prints `{open}` once all are in and their heartbeats run. A line
 * `probe` of standard input has each of them ping once a second instead of every 5 s; `report` is answered with how long
 * the answers took since the last of these lines, in ms; one that is still awaited counts with its age.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { authenticate } from '../../src/agent/authenticate.ts'
import { Heartbeat, ping2Heartbeat } from '../../src/agent/heartbeat.ts'
import { RelayDialer } from '../../src/agent/relay-dialer.ts'
import { createDataPlane } from '../../src/dataplane/create.ts'
import type { Endpoint } from '../../src/dataplane/types.ts'
import { createLogger } from '../../src/observe/log.ts'
import { readMessage, writeMessage } from '../../src/wire/codec.ts'
import { maxFrame } from '../../src/wire/limits.ts'

const [host = '127.0.0.1', port = '0', certificate = '', sessions = '1'] = process.argv.slice(2)
/** So many at a time are opened: a burst is another matter. */
const atOnce = 50

const relay = { host, port: Number(port) }
const trust = { kind: 'ca', pem: readFileSync(certificate, 'utf8') } as const
const dialer = new RelayDialer({
  dataPlane: createDataPlane('stream'),
  log: createLogger({ format: 'json', level: 'error' }),
  relays: [relay],
  trust,
  proxy: () => undefined,
  dialMs: 10_000,
})

function end(error: unknown): never {
  process.stderr.write(`${String(error)}\n`)
  process.exit(1)
}

let probing = false
const controls: Endpoint[] = []
/** When each awaited answer was asked for. */
const asked = new Map<Endpoint, number>()
const took: number[] = []

/** Pings one session after the other, all of them within a second, for ever. */
async function probe(): Promise<never> {
  const began = performance.now()
  for (let turn = 0; ; turn += 1) {
    await sleep(Math.max(0, began + (turn * 1000) / controls.length - performance.now()))
    const control = controls[turn % controls.length]
    if (control === undefined || asked.has(control)) continue
    asked.set(control, performance.now())
    writeMessage(control, { type: 'Ping', Time: performance.now() })
  }
}

function report(): string {
  const now = performance.now()
  const all = [...took.splice(0), ...[...asked.values()].map((at) => now - at)].sort((a, b) => a - b)
  return JSON.stringify({ count: all.length, p99_ms: all[Math.ceil(all.length * 0.99) - 1], worst_ms: all.at(-1) })
}

function answered(control: Endpoint): void {
  const at = asked.get(control)
  if (at === undefined) return
  took.push(performance.now() - at)
  asked.delete(control)
}

async function serve(control: Endpoint): Promise<void> {
  const ping = (): void => {
    if (!probing) writeMessage(control, { type: 'Ping', Time: performance.now() })
  }
  const heartbeat = new Heartbeat(ping2Heartbeat, { ping, dead: () => end('the relay is silent') })
  for (;;) {
    const message = await readMessage(control, maxFrame, Number.POSITIVE_INFINITY)
    heartbeat.heard()
    if (message.type === 'Pong') answered(control)
    if (message.type !== 'Ping') continue
    writeMessage(control, { type: 'Pong', ...(message.Time === undefined ? {} : { Time: message.Time }) })
  }
}

async function open(): Promise<void> {
  const control = await dialer.connect('tls', new AbortController().signal)
  const answer = await authenticate(control, { token: 'bench', clientId: '' }, ['ticket', 'ping2'], 60_000)
  if (!answer.accepted) end(answer.reason)
  controls.push(control)
  serve(control).catch(end)
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'probe' && !probing) {
      probing = true
      probe().catch(end)
    }
    const answers = report()
    if (line === 'report') process.stdout.write(`${answers}\n`)
  })
  .on('close', () => process.exit(0))
let left = Number(sessions)
const openSome = async (): Promise<void> => {
  while (left > 0) {
    left -= 1
    await open()
  }
}
await Promise.all(Array.from({ length: atOnce }, openSome)).catch(end)
process.stdout.write(`${JSON.stringify({ open: Number(sessions) })}\n`)
