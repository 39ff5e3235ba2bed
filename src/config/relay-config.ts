import { dirname, join, resolve } from 'node:path'
import { MillraceError } from '../errors.ts'
import { limitsFrom } from '../limits/limit.ts'
import { relayLimits } from '../limits/relay.ts'
import type { RelayFile } from './relay-schema.ts'
import {
  anyHost,
  controlSocketName,
  defaultSettings,
  type RelaySettings,
  type TokenEntry,
  tokensFileName,
} from './relay-settings.ts'

/** What the command line says; as the config file has it. */
export type RelayFlags = Omit<RelayFile, 'limits' | 'tokens'>

/**
 * The relay's settings: the flags, before the file (if any), before the defaults. Paths in the file are relative to
 * it. Rejects with ERR_CONFIG.
 */
export async function relaySettings(flags: RelayFlags, file: string | undefined): Promise<RelaySettings> {
  if (file === undefined) return settingsOf(flags)
  // Loaded only when there is a file: the two libraries take longer than the rest of the start.
  const [{ loadConfig }, { relaySchema }] = await Promise.all([import('./load.ts'), import('./relay-schema.ts')])
  // What doesn't go together is told with its place, too, though a flag may be the other half of it.
  const schema = relaySchema.superRefine((inFile, context) => {
    for (const { keys, message } of conflicts({ ...inFile, ...withoutUndefined(flags) })) {
      const key = keys.find((one) => inFile[one] !== undefined && flags[one] === undefined)
      if (key !== undefined) context.addIssue({ code: 'custom', path: [key], message })
    }
  })
  const given = await loadConfig(file, schema)
  const folder = dirname(file)
  const paths = {
    ...(given.tls_cert === undefined ? {} : { tls_cert: resolve(folder, given.tls_cert) }),
    ...(given.tls_key === undefined ? {} : { tls_key: resolve(folder, given.tls_key) }),
    ...(given.state_dir === undefined ? {} : { state_dir: resolve(folder, given.state_dir) }),
    ...(given.control_socket === undefined ? {} : { control_socket: resolve(folder, given.control_socket) }),
    ...(given.tokens_file === undefined ? {} : { tokens_file: resolve(folder, given.tokens_file) }),
    ...(given.https_certs === undefined ? {} : { https_certs: resolveCertificates(folder, given.https_certs) }),
  }
  const { tokenEntries } = await import('./token-entries.ts')
  return settingsOf({ ...given, ...paths, ...withoutUndefined(flags) }, tokenEntries(given.tokens ?? []))
}

interface Conflict {
  /** Whose fault it is: the first of these that the file has. */
  readonly keys: readonly (keyof RelayFlags)[]
  readonly message: string
}

/** What does not go together. */
function conflicts(given: RelayFlags): readonly Conflict[] {
  const found: Conflict[] = []
  if ((given.tls_cert === undefined) !== (given.tls_key === undefined)) {
    found.push({ keys: ['tls_cert', 'tls_key'], message: 'tls_cert and tls_key belong together: give both or neither' })
  }
  const addresses = [
    ['tunnel_addr', given.tunnel_addr ?? defaultSettings().tunnelAddr],
    ['http_addr', given.http_addr],
    ['https_addr', given.https_addr],
  ] as const
  for (const [i, [key, one]] of addresses.entries()) {
    for (const [earlier, other] of addresses.slice(0, i)) {
      if (one === undefined || other === undefined || one.port === 0 || one.port !== other.port) continue
      if (one.host !== other.host && one.host !== anyHost && other.host !== anyHost) continue
      found.push({ keys: [key, earlier], message: `${earlier} and ${key} can't listen on one port` })
    }
  }
  return found
}

function resolveCertificates(
  folder: string,
  place: NonNullable<RelayFile['https_certs']>,
): NonNullable<RelayFile['https_certs']> {
  if (typeof place === 'string') return resolve(folder, place)
  return place.map(({ name, cert, key }) => ({ name, cert: resolve(folder, cert), key: resolve(folder, key) }))
}

function settingsOf(given: RelayFile, tokens: readonly TokenEntry[] = []): RelaySettings {
  const defaults = defaultSettings()
  const [conflict] = conflicts(given)
  if (conflict !== undefined) throw new MillraceError('ERR_CONFIG', conflict.message)
  const { tls_cert: cert, tls_key: key } = given
  const stateDir = given.state_dir ?? defaults.stateDir
  return {
    tunnelAddr: given.tunnel_addr ?? defaults.tunnelAddr,
    ...(given.http_addr === undefined ? {} : { httpAddr: given.http_addr }),
    ...(given.https_addr === undefined ? {} : { httpsAddr: given.https_addr }),
    ...(given.tcp_ports === undefined ? {} : { tcpPorts: given.tcp_ports }),
    domain: given.domain ?? defaults.domain,
    allow: given.allow ?? defaults.allow,
    deny: given.deny ?? defaults.deny,
    proxyProtocolFrom: given.proxy_protocol_from ?? defaults.proxyProtocolFrom,
    ...(cert === undefined || key === undefined ? {} : { tls: { cert, key } }),
    tlsMinVersion: given.tls_min_version ?? defaults.tlsMinVersion,
    ...(given.https_certs === undefined ? {} : { httpsCerts: given.https_certs }),
    httpsRedirect: given.https_redirect ?? defaults.httpsRedirect,
    ...(given.hsts === undefined ? {} : { hstsSeconds: given.hsts }),
    tokens: [...tokens, ...namelessTokens(given)],
    tokensFile: given.tokens_file ?? join(stateDir, tokensFileName),
    open: given.open ?? defaults.open,
    lanes: given.lanes ?? defaults.lanes,
    allowPlain: given.allow_plain ?? defaults.allowPlain,
    stateDir,
    controlSocket: given.control_socket ?? join(stateDir, controlSocketName),
    logFormat: given.log_format ?? defaults.logFormat,
    drainTimeoutMs: given.drain_timeout === undefined ? defaults.drainTimeoutMs : given.drain_timeout * 1000,
    nameGraceMs: given.name_grace === undefined ? defaults.nameGraceMs : given.name_grace * 1000,
    limits: limitsFrom(relayLimits, given.limits),
  }
}

/** Hashes without a name are named after their first digits. */
function namelessTokens({ token_sha256 = [] }: RelayFile): readonly TokenEntry[] {
  return token_sha256.map((sha256) => ({ name: `sha256:${sha256.slice(0, 8)}`, sha256 }))
}

function withoutUndefined<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Partial<T>
}
