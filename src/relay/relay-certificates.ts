import type { RelaySettings } from '../config/relay-settings.ts'
import type { Logger } from '../observe/log.ts'
import { certificatePlace } from './certificate-files.ts'
import { CertificateStore } from './certificate-store.ts'
import { type Certificate, loadCertificate } from './certificates.ts'

/** The certificates of a relay: those for visitors, and the tunnel port's own. */
export class RelayCertificates {
  /** For visitors, by name. */
  readonly fronts: CertificateStore
  readonly #tunnel: CertificateStore

  constructor(fronts: CertificateStore, tunnel: CertificateStore) {
    this.fronts = fronts
    this.#tunnel = tunnel
  }

  /** Reads, or makes, what the settings name, and follows it. Rejects with ERR_CERTIFICATE. */
  static async open(settings: RelaySettings, log: Logger): Promise<RelayCertificates> {
    const fallback = await loadCertificate(settings, log)
    const fronts = await CertificateStore.open({
      place: certificatePlace(settings),
      fallback,
      log,
      minVersion: settings.tlsMinVersion,
    })
    try {
      const place = certificatePlace({ ...settings, httpsCerts: [] })
      return new RelayCertificates(
        fronts,
        await CertificateStore.open({ place, fallback, log: log.child({ port: 'tunnel' }) }),
      )
    } catch (error) {
      fronts.close()
      throw error
    }
  }

  /** The tunnel port's: the same object as long as it doesn't change. */
  get tunnel(): Certificate {
    return this.#tunnel.find('')
  }

  /** Follows no files any more. Idempotent. */
  close(): void {
    this.fronts.close()
    this.#tunnel.close()
  }
}
