import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { makeCertificate, type TestCertificate } from '../dataplane/certificate.ts'

/** A folder as `--https-certs` takes it; gone when the test ends. */
export class CertificateFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  static async make(t: TestContext): Promise<CertificateFolder> {
    const path = await mkdtemp(join(tmpdir(), 'millrace-certs-'))
    await mkdir(path, { recursive: true })
    t.after(() => rm(path, { recursive: true, force: true }))
    return new CertificateFolder(path)
  }

  /** Puts a new certificate in place, as renewing clients do: whole files, renamed. */
  async add(stem: string, names: readonly string[], days?: number): Promise<TestCertificate> {
    const pair = await makeCertificate(names, days)
    await this.write(`${stem}.key`, pair.key)
    await this.write(`${stem}.crt`, pair.cert)
    return pair
  }

  async write(file: string, text: string): Promise<void> {
    // A name that is no certificate's.
    const temporary = join(this.path, `${file}.new`)
    await writeFile(temporary, text)
    await rename(temporary, join(this.path, file))
  }

  async remove(stem: string): Promise<void> {
    for (const ending of ['crt', 'key']) await rm(join(this.path, `${stem}.${ending}`), { force: true })
  }
}
