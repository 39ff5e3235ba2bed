import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defaultStateDir } from '../config/relay-settings.ts'
import { formatHostPort, type HostPort } from '../net/address.ts'
import { type Enrolment, formatEnrolment, parseEnrolment } from '../net/enrolment.ts'
import { CommandFailure } from './exit.ts'

/** Where `millrace login` keeps what it was given: tokens, so mode 0600. */
export const loginFile = (): string => join(defaultStateDir(), 'login.json')

/** All logins, the newest first; empty when there are none. Throws {@link CommandFailure} for a damaged file. */
export function readLogins(file = loginFile()): readonly Enrolment[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw new CommandFailure(`cannot read ${file}`, { cause: error })
  }
  try {
    const saved = JSON.parse(text) as { readonly logins: readonly string[] }
    return saved.logins.map(parseEnrolment)
  } catch {
    // The parser's own words would show a piece of the file.
    throw new CommandFailure(`${file} is damaged: remove it, and use millrace login again`)
  }
}

/** Keeps a login, in place of an older one at the same relay. Rejects with {@link CommandFailure}. */
export async function saveLogin(login: Enrolment, file = loginFile()): Promise<void> {
  const others = readLogins(file).filter(({ relay }) => !sameRelay(relay, login.relay))
  const text = JSON.stringify({ logins: [login, ...others].map(formatEnrolment) }, undefined, 2)
  const temporary = `${file}.${randomBytes(4).toString('hex')}`
  try {
    await mkdir(join(file, '..'), { recursive: true, mode: 0o700 })
    await writeFile(temporary, `${text}\n`, { mode: 0o600, flag: 'wx' })
    await chmod(temporary, 0o600)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new CommandFailure(`cannot write ${file} (${why})`, { cause: error })
  }
}

/**
 * What is known about all of these relays together; undefined unless each has a login. Throws {@link CommandFailure}
 * when their tokens differ, as an agent has only one.
 */
export function loginFor(
  relays: readonly HostPort[],
  logins: readonly Enrolment[],
): Omit<Enrolment, 'relay'> | undefined {
  const found = relays.map((relay) => logins.find((login) => sameRelay(login.relay, relay)))
  const [first] = found
  if (first === undefined || !found.every((login) => login !== undefined)) return undefined
  if (found.some(({ token }) => token !== first.token)) {
    throw new CommandFailure('these relays have been logged in to with different tokens: give --token-file and --pin')
  }
  const [pin, ...pins] = found.flatMap((login) => login.pins)
  return { token: first.token, pins: [pin ?? first.pins[0], ...pins] }
}

function sameRelay(a: HostPort, b: HostPort): boolean {
  return formatHostPort(a.host, a.port).toLowerCase() === formatHostPort(b.host, b.port).toLowerCase()
}
