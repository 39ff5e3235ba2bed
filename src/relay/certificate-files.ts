import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { CertificateSource, RelaySettings } from '../config/relay-settings.ts'
import { MillraceError } from '../errors.ts'
import { validateHostname } from '../net/address.ts'

/** Where the front's certificates lie: a folder of NAME.crt and NAME.key, or single files. */
export type CertificatePlace =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'files'; readonly files: readonly CertificateSource[] }

/** What was found at a place. */
export interface FoundFiles {
  readonly sources: readonly CertificateSource[]
  /** ERR_CERTIFICATE for each file that nothing can be made of. */
  readonly faults: readonly MillraceError[]
}

/** The place that settings name. The operator's own pair is followed as well: it is the default where a list has none. */
export function certificatePlace({ httpsCerts = [], tls }: RelaySettings): CertificatePlace {
  if (typeof httpsCerts === 'string') return { kind: 'folder', path: httpsCerts }
  const own =
    tls === undefined || httpsCerts.some(({ name }) => name === 'default') ? [] : [{ name: 'default', ...tls }]
  return { kind: 'files', files: [...httpsCerts, ...own] }
}

/** Lists the pairs at a place, by file names alone. Rejects with ERR_CERTIFICATE when the folder can't be read. */
export async function findCertificates(place: CertificatePlace): Promise<FoundFiles> {
  if (place.kind === 'files') return { sources: place.files, faults: [] }
  const files = await listFolder(place.path)
  const sources: CertificateSource[] = []
  const faults: MillraceError[] = []
  const fault = (file: string, why: string): number =>
    faults.push(new MillraceError('ERR_CERTIFICATE', `${join(place.path, file)} ${why}`))
  for (const file of files) {
    const stem = file.slice(0, -'.crt'.length)
    if (file.endsWith('.key') && !files.includes(`${stem}.crt`)) fault(file, `has no ${stem}.crt beside it`)
    if (!file.endsWith('.crt')) continue
    const name = certificateName(stem)
    if (name === undefined) fault(file, 'is named after no host: HOST.crt, _.DOMAIN.crt or default.crt')
    else if (sources.some((other) => other.name === name)) fault(file, `is the second one for ${name}`)
    else sources.push({ name, cert: join(place.path, file), key: join(place.path, `${stem}.key`) })
  }
  return { sources, faults }
}

/** The folders whose changes matter. */
export function foldersOf(place: CertificatePlace): readonly string[] {
  if (place.kind === 'folder') return [place.path]
  return [...new Set(place.files.flatMap(({ cert, key }) => [dirname(cert), dirname(key)]))]
}

/** Changes whenever one of the two files does; symbolic links are followed. */
export async function fingerprint({ cert, key }: CertificateSource): Promise<string> {
  const parts = await Promise.all(
    [cert, key].map(async (file) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = await stat(file)
        return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
      } catch (error) {
        return String(error)
      }
    }),
  )
  return parts.join('; ')
}

async function listFolder(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path)).filter((file) => /^[^.].*\.(?:crt|key)$/.test(file)).sort()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new MillraceError('ERR_CERTIFICATE', `${path} cannot be read: ${why}`, { cause: error })
  }
}

/** `_` stands for the star of a wildcard, which is awkward in file names. */
function certificateName(stem: string): string | undefined {
  if (stem === 'default') return stem
  const wildcard = stem.startsWith('_.')
  try {
    const host = validateHostname(wildcard ? stem.slice(2) : stem)
    return wildcard ? `*.${host}` : host
  } catch {
    return undefined
  }
}
