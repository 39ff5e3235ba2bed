import { text as readText } from 'node:stream/consumers'
import { authenticate } from '../agent/authenticate.ts'
import { defaultTimings } from '../agent/options.ts'
import { reasonOf, trustProblem, untrusted } from '../agent/reason.ts'
import { RelayDialer } from '../agent/relay-dialer.ts'
import { createDataPlane } from '../dataplane/create.ts'
import type { Endpoint } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { formatHostPort } from '../net/address.ts'
import { type Enrolment, parseEnrolment } from '../net/enrolment.ts'
import { silentLogger } from '../observe/log.ts'
import { outboundProxy } from './agent-proxy.ts'
import { CommandFailure, exitCodes } from './exit.ts'
import { loginFile, saveLogin } from './login-store.ts'

/**
 * Tries an enrolment (`-`: read from standard input) at its relay and keeps it. Resolves with the exit code; rejects with
 * ERR_ENROLMENT, what the connection failed with, ERR_AGENT_REFUSED, or a failure to write.
 */
export async function runLogin(given: string, flags: { readonly proxy?: string }): Promise<number> {
  const text = given === '-' ? (await readText(process.stdin)).trim() : given
  if (text === '') throw new CommandFailure('there is no enrolment on standard input')
  const enrolment = parseEnrolment(text)
  await tryOut(enrolment, flags)
  await saveLogin(enrolment)
  const { host, port } = enrolment.relay
  process.stdout.write(`logged in at ${formatHostPort(host, port)}; kept in ${loginFile()}\n`)
  return exitCodes.ok
}

/** Logs in and leaves. The token goes out only to who has the pinned key. */
async function tryOut({ relay, token, pins }: Enrolment, flags: { readonly proxy?: string }): Promise<void> {
  const dialer = new RelayDialer({
    dataPlane: createDataPlane(),
    log: silentLogger,
    relays: [relay],
    trust: { kind: 'pin', sha256: pins },
    proxy: outboundProxy(flags),
    dialMs: defaultTimings.dialMs,
  })
  // Sockets of the native data plane do not hold the event loop.
  const alive = setInterval(() => undefined, 2 ** 30)
  let control: Endpoint | undefined
  try {
    control = await dialer.connectControl(new AbortController().signal)
    const answer = await authenticate(control, { token, clientId: '' }, [], defaultTimings.authMs)
    if (!answer.accepted) throw new MillraceError('ERR_AGENT_REFUSED', answer.reason)
  } catch (error) {
    const problem = trustProblem(error)
    if (problem !== '') throw untrusted(problem)
    throw error instanceof MillraceError ? new CommandFailure(reasonOf(error), { cause: error }) : error
  } finally {
    control?.destroy()
    clearInterval(alive)
  }
}
