import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { relaySettings } from '../config/relay-config.ts'
import type { RelaySettings, TokenEntry } from '../config/relay-settings.ts'
import { readTokensFile } from '../config/tokens-file.ts'
import { MillraceError } from '../errors.ts'
import type { HostPort } from '../net/address.ts'
import { formatEnrolment } from '../net/enrolment.ts'
import { silentLogger } from '../observe/log.ts'
import { loadCertificate } from '../relay/certificates.ts'
import { TokenBook } from '../relay/tokens.ts'
import { CommandFailure, exitCodes } from './exit.ts'
import { addEntry, giveToOwner, type RawEntry, removeEntries } from './token-edit.ts'
import { describeToken, tokenAsJson } from './token-text.ts'

/** Where the relay's tokens are. */
export interface PlaceFlags {
  readonly config?: string
  readonly stateDir?: string
}

/** The flags of `millrace token new`. */
export interface NewFlags extends PlaceFlags {
  readonly name?: string
  readonly enrol?: HostPort | true
  readonly hostname?: string[]
  readonly subdomain?: string[]
  readonly tcpPorts?: string[]
  readonly protocol?: string[]
  readonly sessions?: number
  readonly tunnels?: number
  readonly connections?: number
  readonly bandwidth?: number
  readonly network?: string[]
  readonly denyNetwork?: string[]
  readonly expires?: string
}

/** The flags of `millrace token list`. */
export interface ListFlags extends PlaceFlags {
  readonly json?: boolean
}

/** The flags of `millrace token check`. */
export interface CheckFlags extends PlaceFlags {
  readonly from?: string
}

/** `millrace token new`. The token goes to standard output and nowhere else. */
export async function newToken(flags: NewFlags): Promise<void> {
  const token = randomBytes(32).toString('base64url')
  const sha256 = createHash('sha256').update(token).digest('hex')
  const scopes = scopesOf(flags)
  if (flags.name === undefined && flags.enrol === undefined) {
    if (Object.keys(scopes).length > 0)
      throw new CommandFailure('what a token allows is kept with its name: add --name')
    process.stdout.write(`token: ${token}\nsha256: ${sha256}\n`)
    // Advice is for people, not for scripts that read the two lines.
    if (process.stdout.isTTY) process.stdout.write(advice)
    return
  }
  const settings = await settingsAt(flags)
  const name = flags.name ?? `agent-${sha256.slice(0, 8)}`
  if (settings.tokens.some((entry) => entry.name === name)) {
    throw new CommandFailure(`there is a token ${JSON.stringify(name)} in the relay's config already`)
  }
  // Before anything is written: without a certificate the string would be of no use.
  const enrolment = flags.enrol === undefined ? undefined : await enrolmentOf(flags.enrol, settings, token)
  const entry: RawEntry = { name, sha256, ...scopes }
  await addEntry(settings.tokensFile, entry)
  process.stdout.write(enrolment === undefined ? `token: ${token}\nsha256: ${sha256}\n` : `${enrolment}\n`)
}

/** `millrace token list`. */
export async function listTokens(flags: ListFlags): Promise<void> {
  const entries = await entriesOf(await settingsAt(flags))
  if (flags.json === true)
    process.stdout.write(
      `${JSON.stringify(
        entries.map((entry) => tokenAsJson(entry, Date.now())),
        undefined,
        2,
      )}\n`,
    )
  else if (entries.length === 0) process.stdout.write('there are no tokens\n')
  else process.stdout.write(`${entries.map((entry) => describeToken(entry, Date.now())).join('\n')}\n`)
}

/** `millrace token revoke`. */
export async function revokeTokens(names: readonly string[], flags: PlaceFlags): Promise<void> {
  const settings = await settingsAt(flags)
  const fixed = settings.tokens.find(({ name }) => names.includes(name))
  if (fixed !== undefined) {
    const where = flags.config ?? "the relay's flags"
    throw new CommandFailure(`the token ${fixed.name} is in ${where}: take it out there, and send the relay SIGHUP`)
  }
  await removeEntries(settings.tokensFile, [...new Set(names)])
  process.stdout.write(`revoked: ${names.join(', ')}\n`)
}

/** `millrace token check`: exit code 0 when the relay would take the token now. */
export async function checkToken(from: string | undefined, flags: CheckFlags): Promise<number> {
  const env = process.env['MILLRACE_TOKEN'] ?? ''
  const token = from === undefined && env !== '' ? env : (await readText(process.stdin)).trim()
  if (token === '') throw new CommandFailure('there is no token on standard input, nor in MILLRACE_TOKEN')
  const settings = await settingsAt(flags)
  const entries = await entriesOf(settings)
  const account = new TokenBook(entries, true, { domain: settings.domain }).identify(token)
  const entry = entries.find(({ sha256 }) => sha256.toLowerCase() === account?.key)
  if (account === undefined || entry === undefined) throw new CommandFailure('the relay does not know this token')
  process.stdout.write(`${describeToken(entry, Date.now())}\n`)
  const { from: host } = flags
  const version = isIP(host ?? '')
  if (host !== undefined && version === 0) throw new CommandFailure('--from takes an IP address')
  const family = version === 6 ? 'ipv6' : 'ipv4'
  const problem =
    host === undefined ? account.fault(Date.now()) : account.problem(Date.now(), { family, host, port: 0 })
  if (problem !== undefined) throw new MillraceError(problem)
  return exitCodes.ok
}

async function settingsAt({ config, stateDir }: PlaceFlags): Promise<RelaySettings> {
  return await relaySettings(stateDir === undefined ? {} : { state_dir: stateDir }, config)
}

async function entriesOf(settings: RelaySettings): Promise<readonly TokenEntry[]> {
  return [...settings.tokens, ...(await readTokensFile(settings.tokensFile)).entries]
}

async function enrolmentOf(where: HostPort | true, settings: RelaySettings, token: string): Promise<string> {
  const { cert } = await loadCertificate(settings, silentLogger)
  if (settings.tls === undefined) {
    for (const file of ['relay.crt', 'relay.key']) await giveToOwner(join(settings.stateDir, file))
  }
  const key = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
  const relay = where === true ? { host: settings.domain, port: settings.tunnelAddr.port } : where
  return formatEnrolment({ relay, token, pins: [createHash('sha256').update(key).digest('hex')] })
}

function scopesOf(flags: NewFlags): Readonly<Record<string, unknown>> {
  const scopes = {
    hostnames: flags.hostname,
    subdomains: flags.subdomain,
    tcp_ports: flags.tcpPorts,
    protocols: flags.protocol,
    sessions: flags.sessions,
    tunnels: flags.tunnels,
    connections: flags.connections,
    bandwidth: flags.bandwidth,
    networks: flags.network,
    deny_networks: flags.denyNetwork,
    expires: flags.expires,
  }
  return Object.fromEntries(Object.entries(scopes).filter(([, value]) => value !== undefined))
}

const advice = `
The token is for the agent (MILLRACE_TOKEN or --token-file) and is shown only now. The hash is for the relay:
--token-sha256 HASH, or in its config file

tokens:
  - name: laptop
    sha256: HASH

With --name it is added to the relay's tokens file here; with --enrol you get one string for millrace login.
`
