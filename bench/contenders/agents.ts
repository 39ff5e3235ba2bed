/**
 * Agents without tunnels, many in one process, on the stream data plane: what they cost is the load's. argv: the relay's
 * address and port, its certificate's file, how many. Prints `{open}` once all are in and their heartbeats run.
 */
import { readFileSync } from 'node:fs'
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

async function serve(control: Endpoint): Promise<void> {
  const ping = (): void => writeMessage(control, { type: 'Ping', Time: performance.now() })
  const heartbeat = new Heartbeat(ping2Heartbeat, { ping, dead: () => end('the relay is silent') })
  for (;;) {
    const message = await readMessage(control, maxFrame, Number.POSITIVE_INFINITY)
    heartbeat.heard()
    if (message.type !== 'Ping') continue
    writeMessage(control, { type: 'Pong', ...(message.Time === undefined ? {} : { Time: message.Time }) })
  }
}

async function open(): Promise<void> {
  const control = await dialer.connect('tls', new AbortController().signal)
  const answer = await authenticate(control, { token: 'bench', clientId: '' }, ['ticket', 'ping2'], 60_000)
  if (!answer.accepted) end(answer.reason)
  serve(control).catch(end)
}

process.stdin.on('end', () => process.exit(0)).resume()
let left = Number(sessions)
const openSome = async (): Promise<void> => {
  while (left > 0) {
    left -= 1
    await open()
  }
}
await Promise.all(Array.from({ length: atOnce }, openSome)).catch(end)
process.stdout.write(`${JSON.stringify({ open: Number(sessions) })}\n`)
