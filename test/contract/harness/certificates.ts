import { webcrypto } from 'node:crypto'

/** PEM texts of a certificate and its key. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

/** An authority and what it signed. */
export interface Authority {
  readonly ca: string
  /** For `localhost` and 127.0.0.1. */
  readonly localhost: Identity
  /** For `other.example` alone. */
  readonly other: Identity
}

// The library wants the polyfill to be there first.
await import('reflect-metadata')
const x509 = await import('@peculiar/x509')
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** Makes an authority with fresh keys, valid for a day around now. */
export async function makeAuthority(name: string): Promise<Authority> {
  const notBefore = new Date(Date.now() - 3_600_000)
  const notAfter = new Date(Date.now() + 86_400_000)
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const subject = `CN=${name}`
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: subject,
    notBefore,
    notAfter,
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  const sign = async (
    serialNumber: string,
    common: string,
    names: readonly { type: 'dns' | 'ip'; value: string }[],
  ) => {
    const own = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber,
      subject: `CN=${common}`,
      issuer: subject,
      notBefore,
      notAfter,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [new x509.SubjectAlternativeNameExtension([...names])],
    })
    const key = await webcrypto.subtle.exportKey('pkcs8', own.privateKey)
    return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') }
  }
  return {
    ca: ca.toString('pem'),
    localhost: await sign('02', 'localhost', [
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '127.0.0.1' },
    ]),
    other: await sign('03', 'other.example', [{ type: 'dns', value: 'other.example' }]),
  }
}
