import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** A PEM certificate and its key. */
export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

/** Makes a self-signed leaf for these DNS names and IP addresses; `days` < 0 makes an expired one. */
export async function makeCertificate(names: readonly string[], days = 1): Promise<TestCertificate> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const day = 86_400_000
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=test',
      notBefore: new Date(Date.now() - 10 * day),
      notAfter: new Date(Date.now() + days * day),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value })),
        ),
      ],
    },
    webcrypto,
  )
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const key = x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')
  return { cert: certificate.toString('pem'), key }
}
