import { strict as assert } from 'node:assert'
import type { Socket } from 'node:net'
import type { Endpoint } from '../../../src/dataplane/types.ts'
import { type ErrorCode, MillraceError } from '../../../src/errors.ts'
import { born } from './bed.ts'
import type { Bench } from './contract.ts'
import { within } from './wait.ts'

/** Everything that a plain socket received, for tests in which the bytes themselves matter. */
export interface Received {
  readonly bytes: () => Buffer
  /** `fin`, an errno, or '' while neither came. */
  readonly end: () => string
  /** Resolves with {@link Received.end} once it came. */
  readonly ended: Promise<string>
}

/** Starts reading a socket to its end. */
export function collect(socket: Socket): Received {
  const parts: Buffer[] = []
  let end = ''
  const over = new Promise<string>((resolve) => {
    const finish = (how: string): void => {
      if (end === '') end = how
      resolve(end)
    }
    if (socket.readableEnded) finish('fin')
    else if (socket.closed) finish('closed')
    socket.on('data', (part: Buffer) => parts.push(part))
    socket.on('end', () => {
      finish('fin')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      finish(error.code ?? error.message)
    })
    socket.on('close', () => {
      finish('closed')
    })
  })
  socket.resume()
  return { bytes: () => Buffer.concat(parts), end: () => end, ended: within(over, 'the end of the socket') }
}

/** An endpoint of the pairing's a side and the plain socket at its far end, cleaned up after the test. */
export async function endpointOf(bench: Bench): Promise<{ readonly endpoint: Endpoint; readonly socket: Socket }> {
  const { plane } = bench.contestant
  assert.ok(plane)
  const one = await born(plane, bench.pairing.a)
  one.socket.on('error', () => undefined)
  bench.t.after(() => {
    one.socket.destroy()
    one.endpoint.destroy('reset')
  })
  return one
}

/** Asserts that a promise rejects with one of these codes, and returns the error. */
export async function rejects(promise: Promise<unknown>, ...codes: readonly ErrorCode[]): Promise<MillraceError> {
  const outcome = await within(
    promise.then(
      (value) => `resolved with ${String(value)}`,
      (error: unknown) => error,
    ),
    `a rejection with ${codes.join(' or ')}`,
  )
  assert.ok(
    outcome instanceof MillraceError && codes.includes(outcome.code),
    `${codes.join(' or ')}: ${String(outcome)}`,
  )
  return outcome
}

/** For `assert.throws`: an error of the catalogue with this code. */
export function withCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof MillraceError && error.code === code
}

/** What lies beneath an error, by errno's or the resolver's name. */
export function causeCode(error: MillraceError): string {
  const cause: unknown = error.cause
  const code: unknown = typeof cause === 'object' && cause !== null ? Reflect.get(cause, 'code') : undefined
  return typeof code === 'string' ? code : ''
}
