import { webcrypto } from 'node:crypto'

/** A self-signed certificate for tests. */
export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

/** Makes a certificate for these names, 127.0.0.1 and ::1 unless names are given; it is good for an hour. */
export async function makeCertificate(names?: readonly string[]): Promise<TestCertificate> {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const now = Date.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=millrace test',
      notBefore: new Date(now - 60_000),
      notAfter: new Date(now + 3_600_000),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          ...(names ?? ['localhost']).map((value) => ({ type: 'dns', value }) as const),
          ...(names === undefined ? ['127.0.0.1', '::1'] : []).map((value) => ({ type: 'ip', value }) as const),
        ]),
      ],
    },
    webcrypto,
  )
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  const lines = pkcs8.match(/.{1,64}/g) ?? []
  return {
    cert: certificate.toString('pem'),
    key: ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n'),
  }
}
