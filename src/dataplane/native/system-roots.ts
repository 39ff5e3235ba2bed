import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as tls from 'node:tls'

/** What `node:tls` has since 22.15 and 23.10. */
interface NewerTls {
  readonly getCACertificates?: (kind: 'default') => readonly string[]
}

let roots: string | undefined

/** The root certificates that Node trusts, as PEM: its own and those of NODE_EXTRA_CA_CERTS. Made once. */
export function systemRoots(): string {
  roots ??= read().join('\n')
  return roots
}

function read(): readonly string[] {
  // It knows of --use-system-ca and the like as well.
  const { getCACertificates } = tls as typeof tls & NewerTls
  const found = getCACertificates?.('default') ?? []
  if (found.length > 0) return found
  return [...tls.rootCertificates, ...extraCertificates(process.env['NODE_EXTRA_CA_CERTS'])]
}

/** Those of a file of which Node has read the same at its start, with a warning for what it could not read. */
export function extraCertificates(path: string | undefined): readonly string[] {
  if (path === undefined || path === '') return []
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return []
  }
  const blocks = text.match(/-----BEGIN (?:X509 )?CERTIFICATE-----[\s\S]+?-----END [^-]+-----/g) ?? []
  return blocks.filter((block) => {
    try {
      return new X509Certificate(block).raw.length > 0
    } catch {
      return false
    }
  })
}
