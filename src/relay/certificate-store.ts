import { X509Certificate } from 'node:crypto'
import type { CertificateSource } from '../config/relay-settings.ts'
import type { TlsOptions, TlsVersion } from '../dataplane/types.ts'
import { MillraceError } from '../errors.ts'
import { FolderWatch, type WatchTimes } from '../folder-watch.ts'
import type { Logger } from '../observe/log.ts'
import { type CertificatePlace, findCertificates, fingerprint, foldersOf } from './certificate-files.ts'
import { type Certificate, readPair } from './certificates.ts'

/** A certificate as handshakes use it: the same objects as long as its files hold the same, so contexts are cached. */
export interface ServerCertificate extends Certificate {
  readonly https: TlsOptions
  readonly raw: TlsOptions
  readonly parsed: X509Certificate
  /** The host names that it is valid for, lower case, wildcards as `*.DOMAIN`. */
  readonly names: ReadonlySet<string>
}

/** What a store is made of. */
export interface CertificateStoreOptions {
  readonly place: CertificatePlace
  /** For visitors whose name none of the others is for, unless the place has a default. */
  readonly fallback: Certificate
  readonly log: Logger
  /** The oldest TLS that visitors may speak. Default TLSv1.2. */
  readonly minVersion?: TlsVersion
  readonly watch?: WatchTimes
}

interface Entry {
  readonly fingerprint: string
  /** Absent: the files have never been good. */
  readonly certificate: ServerCertificate | undefined
}

/** The certificates of the public fronts, by the name that visitors ask for. Follows the files as they change. */
export class CertificateStore {
  readonly #options: CertificateStoreOptions
  readonly #fallback: ServerCertificate
  #entries: ReadonlyMap<string, Entry> = new Map()
  #watch: FolderWatch | undefined
  /** Faults of the place itself that were logged last. */
  #faults = ''
  #loading = false
  #again = false

  constructor(options: CertificateStoreOptions) {
    this.#options = options
    this.#fallback = serverCertificate(options.fallback, options.minVersion)
  }

  /** Reads everything and follows it from then on. Rejects with ERR_CERTIFICATE at the first fault. */
  static async open(options: CertificateStoreOptions): Promise<CertificateStore> {
    const store = new CertificateStore(options)
    // Before the first look: what changes between the two is not missed.
    const changed = (): void => void store.reload()
    store.#watch = new FolderWatch(foldersOf(options.place), changed, options.watch)
    try {
      const names = await store.#load('strict')
      if (names.length > 0) options.log.info('cert.loaded', { names })
      return store
    } catch (error) {
      store.close()
      throw error
    }
  }

  /** The certificate for a name ('' = none asked for): its own, the wildcard of its domain, or the default. */
  find(serverName: string): ServerCertificate {
    return this.#named(serverName) ?? this.#default
  }

  /** True when a certificate here is valid for the name. */
  covers(serverName: string): boolean {
    return this.#named(serverName) !== undefined || isFor(this.#default, serverName)
  }

  /** Looks for changes. Faulty pairs are logged, and what was there before them stays in use. Never rejects. */
  async reload(): Promise<void> {
    this.#again = true
    if (this.#loading) return
    this.#loading = true
    while (this.#again) {
      this.#again = false
      try {
        const names = await this.#load('lenient')
        if (names.length > 0) this.#options.log.info('cert.reloaded', { names })
      } catch (error) {
        this.#tellFaults([error])
      }
    }
    this.#loading = false
  }

  /** Follows the files no longer. Idempotent. */
  close(): void {
    this.#watch?.close()
  }

  get #default(): ServerCertificate {
    return this.#entries.get('default')?.certificate ?? this.#fallback
  }

  #named(serverName: string): ServerCertificate | undefined {
    if (serverName === 'default') return undefined
    return this.#entries.get(serverName)?.certificate ?? this.#entries.get(wildcardOf(serverName))?.certificate
  }

  /** Resolves with the names whose certificates came, changed or went. */
  async #load(mode: 'strict' | 'lenient'): Promise<readonly string[]> {
    const { sources, faults } = await findCertificates(this.#options.place)
    if (mode === 'strict' && faults[0] !== undefined) throw faults[0]
    this.#tellFaults(faults)
    const before = this.#entries
    const after = new Map<string, Entry>()
    for (const source of sources) after.set(source.name, await this.#entry(source, before.get(source.name), mode))
    this.#entries = after
    const names = new Set([...before.keys(), ...after.keys()])
    return [...names].filter((name) => before.get(name)?.certificate !== after.get(name)?.certificate)
  }

  async #entry(source: CertificateSource, known: Entry | undefined, mode: 'strict' | 'lenient'): Promise<Entry> {
    const seen = await fingerprint(source)
    if (known?.fingerprint === seen) return known
    try {
      const pair = await readPair(source.cert, source.key)
      const old = known?.certificate
      if (old?.cert === pair.cert && old.key === pair.key) return { fingerprint: seen, certificate: old }
      const certificate = serverCertificate(pair, this.#options.minVersion)
      this.#check(source, certificate)
      return { fingerprint: seen, certificate }
    } catch (error) {
      if (mode === 'strict') throw error
      this.#options.log.error('cert.refused', { name: source.name, ...described(error) })
      return { fingerprint: seen, certificate: known?.certificate }
    }
  }

  #check({ name, cert }: CertificateSource, certificate: ServerCertificate): void {
    if (name !== 'default' && !isFor(certificate, name)) {
      throw new MillraceError('ERR_CERTIFICATE', `${cert} is not for ${name}`)
    }
    // No reason to refuse it: some visitors don't look, and a relay that does not start helps nobody.
    const { validTo } = certificate.parsed
    if (Date.parse(validTo) < Date.now()) {
      this.#options.log.warn('cert.expired', { name, file: cert, since: validTo })
    }
  }

  /** Logs faults once, not at every look. */
  #tellFaults(faults: readonly unknown[]): void {
    const text = faults.map(String).join('\n')
    if (text !== '' && text !== this.#faults) {
      for (const fault of faults) this.#options.log.error('cert.refused', described(fault))
    }
    this.#faults = text
  }
}

function serverCertificate({ cert, key }: Certificate, minVersion: TlsVersion = 'TLSv1.2'): ServerCertificate {
  // Many visitors never send close_notify.
  const raw: TlsOptions = { role: 'server', cert, key, front: 'tls', truncation: 'fin', minVersion }
  const parsed = new X509Certificate(cert)
  // Only the alternative names count, as in browsers (RFC 9525 section 6.3).
  const dns = [...(parsed.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^,"]+)/g)]
  const names = new Set(dns.map(([, name = '']) => name.toLowerCase()))
  return { cert, key, raw, https: { ...raw, front: 'https', alpn: ['http/1.1'] }, parsed, names }
}

/** Not `checkHost`: OpenSSL knows no wildcards directly below a top-level name, such as `*.localhost`. */
function isFor({ names }: ServerCertificate, name: string): boolean {
  return names.has(name) || names.has(wildcardOf(name))
}

/** A wildcard stands for one label. */
function wildcardOf(name: string): string {
  return `*${name.slice(name.indexOf('.'))}`
}

function described(error: unknown): { readonly code: string; readonly error: string } {
  if (error instanceof MillraceError) return { code: error.code, error: error.message }
  return { code: 'unknown', error: String(error) }
}
