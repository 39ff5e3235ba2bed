import { MillraceError } from '../errors.ts'

/** An error as one phrase for logs: its message, with the system's code where that says more. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = systemCode(error)
  return code === '' || error.message.includes(code) ? error.message : `${error.message} (${code})`
}

/**
 * What Node and OpenSSL call a certificate that can't be trusted: waiting does not mend it, so that the first attempt
 * says so instead of trying for ever.
 */
const trustCodes: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'INVALID_CA',
  'PIN_MISMATCH',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** What is wrong with a certificate that was refused; '' for any other failure. */
export function trustProblem(error: unknown): string {
  if (!(error instanceof MillraceError) || error.code !== 'ERR_TLS') return ''
  const code = systemCode(error)
  return trustCodes.has(code) ? error.message : ''
}

/** The end of an agent that does not trust its relay; `problem` is what {@link trustProblem} said. */
export function untrusted(problem: string): MillraceError {
  const advice = problem.includes('PIN_MISMATCH')
    ? 'if the relay has a new key, log in with a new enrolment from there; if not, somebody is in between'
    : 'pass its CA with --ca FILE, or dial the name that it was made for'
  return new MillraceError('ERR_AGENT_TRUST', `${problem}; ${advice}`)
}

/** The innermost code that isn't one of ours. */
function systemCode(error: Error): string {
  let code = ''
  for (let at: unknown = error.cause; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') code = at.code
  }
  return code
}
