import { createPrivateKey, createPublicKey, type KeyObject, webcrypto, X509Certificate } from 'node:crypto'
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { RelaySettings } from '../config/relay-settings.ts'
import { MillraceError } from '../errors.ts'
import type { Logger } from '../observe/log.ts'

/** A certificate chain and its key, PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

const dayMs = 86_400_000
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const pemCertificate = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs
/** It is pinned by hand (`--ca`), so it must not expire behind anybody's back. */
const lifeMs = 3650 * dayMs

/**
 * The relay's certificate: the operator's, or one of its own in the state directory, made on first use. Rejects with
 * ERR_CERTIFICATE, which names the file and says what is wrong with it.
 */
export async function loadCertificate(settings: RelaySettings, log: Logger): Promise<Certificate> {
  if (settings.tls !== undefined) return await readPair(settings.tls.cert, settings.tls.key)
  const certFile = join(settings.stateDir, 'relay.crt')
  const keyFile = join(settings.stateDir, 'relay.key')
  const reason = await whyMakeNew(certFile, keyFile, settings.domain)
  if (reason !== '') {
    await makePair(certFile, keyFile, settings)
    log.info('relay.certificate', { file: certFile, reason }, 'made a certificate: give agents this file with --ca')
  }
  return await readPair(certFile, keyFile)
}

/**
 * Makes a self-signed certificate for the names; it is its own CA, so that agents can trust it by its file. `oldKey` (PEM) is
 * used again if it is of our kind: agents may have pinned it.
 */
export async function makeCertificate(names: readonly string[], oldKey?: string): Promise<Certificate> {
  // Loaded only when needed: it takes longer than the rest of the relay. The library wants the polyfill to be there first.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const keys = (await importKeys(oldKey)) ?? (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']))
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: ['millrace relay'] }],
    keys,
    signingAlgorithm: algorithm,
    // Clocks of agents may be behind ours.
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + lifeMs),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? ('dns' as const) : ('ip' as const), value: name })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  return { cert: `${certificate.toString('pem')}\n`, key: key.export({ format: 'pem', type: 'pkcs8' }).toString() }
}

async function importKeys(pem: string | undefined): Promise<webcrypto.CryptoKeyPair | undefined> {
  if (pem === undefined) return undefined
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    // Damaged, and its certificate gone: nobody can miss it.
    return undefined
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return undefined
  const der = { format: 'der' } as const
  const { subtle } = webcrypto
  const pkcs8 = key.export({ ...der, type: 'pkcs8' })
  const spki = createPublicKey(key).export({ ...der, type: 'spki' })
  return {
    privateKey: await subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    publicKey: await subtle.importKey('spki', spki, algorithm, true, ['verify']),
  }
}

/** The names that a relay's own certificate is for. */
export function certificateNames(domain: string): readonly string[] {
  const own = isIP(domain) === 0 ? [domain, `*.${domain}`] : [domain]
  return [...new Set([...own, 'localhost', '127.0.0.1', '::1'])]
}

async function whyMakeNew(certFile: string, keyFile: string, domain: string): Promise<string> {
  const [cert, key] = await Promise.all([readIfThere(certFile), readIfThere(keyFile)])
  if (cert === undefined || key === undefined) return 'there is none yet'
  const { certificate } = checkPair(cert, key, certFile, keyFile)
  if (Date.parse(certificate.validTo) < Date.now()) return 'the old one has expired'
  const covers = isIP(domain) === 0 ? certificate.checkHost(domain) : certificate.checkIP(domain)
  return covers === undefined ? `the old one is not for ${domain}` : ''
}

async function makePair(certFile: string, keyFile: string, { domain, stateDir }: RelaySettings): Promise<void> {
  // There is one where the certificate has expired, or is for another name.
  const { cert, key } = await makeCertificate(certificateNames(domain), await readIfThere(keyFile))
  try {
    await mkdir(stateDir, { recursive: true })
    await replaceFile(keyFile, key, 0o600)
    await replaceFile(certFile, cert, 0o644)
  } catch (error) {
    throw new MillraceError('ERR_CERTIFICATE', `${certFile} and ${keyFile} cannot be written: ${textOf(error)}`, {
      cause: error,
    })
  }
}

async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const temporary = `${file}.${process.pid}`
  await rm(temporary, { force: true })
  await writeFile(temporary, text, { mode, flag: 'wx' })
  // The umask may have taken more away than we want.
  await chmod(temporary, mode)
  await rename(temporary, file)
}

/** Reads a chain and its key and checks that they belong together. Rejects with ERR_CERTIFICATE, which names the file. */
export async function readPair(certFile: string, keyFile: string): Promise<Certificate> {
  const cert = await readOrFail(certFile)
  const key = await readOrFail(keyFile)
  checkPair(cert, key, certFile, keyFile)
  return { cert, key }
}

function checkPair(cert: string, key: string, certFile: string, keyFile: string): { certificate: X509Certificate } {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(cert)
    // The chain behind the first one: visitors would be sent whatever stands there.
    for (const [block] of cert.matchAll(pemCertificate)) new X509Certificate(block)
  } catch (error) {
    throw new MillraceError('ERR_CERTIFICATE', `${certFile} holds no PEM certificate`, { cause: error })
  }
  let matches: boolean
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(key))
  } catch (error) {
    throw new MillraceError('ERR_CERTIFICATE', `${keyFile} holds no PEM private key without a passphrase`, {
      cause: error,
    })
  }
  if (!matches) throw new MillraceError('ERR_CERTIFICATE', `${keyFile} is not the key of ${certFile}`)
  return { certificate }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new MillraceError('ERR_CERTIFICATE', `${file} cannot be read: ${textOf(error)}`, { cause: error })
  }
}

async function readOrFail(file: string): Promise<string> {
  const text = await readIfThere(file)
  if (text === undefined) throw new MillraceError('ERR_CERTIFICATE', `${file} does not exist`)
  return text
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
