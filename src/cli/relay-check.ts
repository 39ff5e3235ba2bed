import type { RelaySettings } from '../config/relay-settings.ts'
import { readTokensFile } from '../config/tokens-file.ts'
import { silentLogger } from '../observe/log.ts'
import { certificatePlace } from '../relay/certificate-files.ts'
import { CertificateStore } from '../relay/certificate-store.ts'
import { makeCertificate, readPair } from '../relay/certificates.ts'

/**
 * Looks at the files that a relay's settings name, as its start would; makes none. Rejects with ERR_CERTIFICATE, or with
 * ERR_CONFIG (the tokens file).
 */
export async function checkRelayFiles(settings: RelaySettings): Promise<void> {
  const { tls, tokensFile, tlsMinVersion: minVersion } = settings
  if (tls !== undefined || settings.httpsCerts !== undefined) {
    // Its own certificate is made when it starts; until then another one stands in for it.
    const fallback = tls === undefined ? await makeCertificate(['localhost']) : await readPair(tls.cert, tls.key)
    const place = certificatePlace(settings)
    const store = await CertificateStore.open({ place, fallback, log: silentLogger, minVersion })
    store.close()
  }
  await readTokensFile(tokensFile)
}
