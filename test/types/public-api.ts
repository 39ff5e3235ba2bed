/** Compiled by `npm run typecheck`, never run: what users may write, and what must be refused. */
import type { Socket } from 'node:net'
import type { DataPlane, Endpoint, ErrorCode, Join, JoinResult, ListenAddress, RateLimit, TlsOptions } from 'millrace'
import { createDataPlane, errorCodes, join, MillraceError } from 'millrace'

export async function rightUse(a: Socket, b: Socket, endpoint: Endpoint): Promise<void> {
  const live = join(a, b, { headA: new Uint8Array(3), idleMs: 10, signal: AbortSignal.timeout(5) }) satisfies Join
  live.bytes.aToB satisfies bigint
  live.path.bToA satisfies 'splice' | 'copy' | 'tls' | 'stream'
  const result = (await live.done) satisfies JoinResult
  result.spliced.aToB satisfies bigint
  switch (result.reason) {
    case 'eof':
    case 'reset':
    case 'idle':
    case 'half-closed-idle':
    case 'limit':
    case 'stalled':
    case 'aborted':
    case 'truncated':
    case 'error':
    case 'unreachable':
      break
    default:
      result.reason satisfies never
  }
  const plane = createDataPlane('stream') satisfies DataPlane
  const rate = plane.rateLimit(1_000) satisfies RateLimit
  plane.join(endpoint, await plane.dial({ path: '/tmp/socket' }), { aToB: { rate, maxBytes: 5 }, onEnd: () => {} })
  errorCodes satisfies readonly ErrorCode[]
  try {
    live.destroy()
  } catch (error) {
    if (error instanceof MillraceError) error.code satisfies ErrorCode
  }
}

export function wrongUse(a: Socket, b: Socket, live: Join): void {
  // @ts-expect-error a join needs two sockets
  join(a)
  // @ts-expect-error no such option
  join(a, b, { idle: 5 })
  // @ts-expect-error heads are bytes
  join(a, b, { headA: 'text' })
  // @ts-expect-error no such mode
  createDataPlane('fast')
  // @ts-expect-error no such code
  new MillraceError('ERR_NO_SUCH')
  // @ts-expect-error counters are read-only
  live.bytes.aToB = 1n
  // @ts-expect-error a host needs a port
  const address: ListenAddress = { host: '::' }
  // @ts-expect-error a client needs to say whom it trusts
  const options: TlsOptions = { role: 'client', serverName: 'x' }
  void [address, options]
}
