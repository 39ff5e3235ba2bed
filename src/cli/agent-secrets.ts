import { readFileSync } from 'node:fs'
import type { TlsTrust } from '../dataplane/types.ts'
import { CommandFailure } from './exit.ts'
import { loginFor, readLogins } from './login-store.ts'
import type { SessionFlags } from './session-flags.ts'

/**
 * The token: `--token`, `--token-file`, `MILLRACE_TOKEN`, that of `millrace login`, or '' for an open relay. Throws {@link CommandFailure}.
 */
export function readToken(flags: SessionFlags): string {
  if (flags.token !== undefined) {
    // Other users read command lines in ps; this overwrites ours, as early as we can.
    process.title = 'millrace'
    return flags.token
  }
  if (flags.tokenFile === undefined) {
    const given = process.env['MILLRACE_TOKEN'] ?? ''
    return given === '' ? (loginFor(flags.relay, readLogins())?.token ?? '') : given
  }
  const token = read(flags.tokenFile, 'token file').trim()
  if (!/^\S+$/.test(token))
    throw new CommandFailure(`the token file ${flags.tokenFile} must hold one token and no more`)
  return token
}

/** Whom the relay's certificate must come from: as the flags say, else as `millrace login` knows. Throws {@link CommandFailure}. */
export function relayTrust(flags: SessionFlags): TlsTrust {
  if (flags.pin !== undefined) return { kind: 'pin', sha256: [flags.pin] }
  const given = trustOf(flags.ca, flags.insecureSkipVerify)
  if (given !== undefined) return given
  const login = loginFor(flags.relay, readLogins())
  return login === undefined ? { kind: 'system' } : { kind: 'pin', sha256: login.pins }
}

/** Whom an `https://` target's certificate must come from, wherever it is. Throws {@link CommandFailure}. */
export function targetTrust(flags: {
  readonly targetCa?: string | undefined
  readonly targetInsecureSkipVerify?: boolean | undefined
}): TlsTrust {
  return trustOf(flags.targetCa, flags.targetInsecureSkipVerify) ?? { kind: 'system' }
}

function trustOf(ca: string | undefined, skip: boolean | undefined): TlsTrust | undefined {
  if (skip === true) return { kind: 'none' }
  if (ca === undefined) return undefined
  const pem = read(ca, 'CA file')
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new CommandFailure(`the CA file ${ca} holds no certificate in PEM form`)
  }
  return { kind: 'ca', pem }
}

function read(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new CommandFailure(`cannot read the ${what} ${file} (${code})`, { cause: error })
  }
}
