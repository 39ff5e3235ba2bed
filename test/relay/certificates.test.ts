import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import { defaultSettings, type RelaySettings } from '../../src/config/relay-settings.ts'
import { silentLogger } from '../../src/observe/log.ts'
import { certificateNames, loadCertificate, makeCertificate } from '../../src/relay/certificates.ts'
import { CertificateFolder } from './certificate-folder.ts'
import { FrameSocket } from './frame-socket.ts'
import { RelayBed } from './relay-bed.ts'

async function settings(t: TestContext, other: Partial<RelaySettings> = {}): Promise<RelaySettings> {
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-cert-'))
  t.after(() => rm(stateDir, { recursive: true, force: true }))
  return { ...defaultSettings(), stateDir, ...other }
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'])
    return true
  } catch {
    return false
  }
}

describe('certificates', () => {
  it('are made once, for all names, and the key is for its owner only', async (t) => {
    const own = await settings(t, { domain: 'tunnels.example.com' })
    const first = await loadCertificate(own, silentLogger)
    assert.deepEqual(await loadCertificate(own, silentLogger), first)
    const certificate = new X509Certificate(first.cert)
    const names = ['tunnels.example.com', 'web.tunnels.example.com', 'localhost']
    for (const name of names) assert(certificate.checkHost(name) !== undefined, name)
    for (const ip of ['127.0.0.1', '::1']) assert(certificate.checkIP(ip) !== undefined, ip)
    assert.match(certificate.subjectAltName ?? '', /DNS:\*\.tunnels\.example\.com/)
    assert.equal((await stat(join(own.stateDir, 'relay.crt'))).mode & 0o777, 0o644)
    assert.equal((await stat(join(own.stateDir, 'relay.key'))).mode & 0o777, 0o600)
  })

  it('are made anew for another domain, with the same key, as agents may have pinned it', async (t) => {
    const own = await settings(t)
    const first = await loadCertificate(own, silentLogger)
    const second = await loadCertificate({ ...own, domain: 'example.com' }, silentLogger)
    assert.notEqual(second.cert, first.cert)
    assert.equal(second.key, first.key)
  })

  it('are their own CA: Node trusts them by their file, for each name', async (t) => {
    const bed = await RelayBed.start(t)
    const ca = await readFile(join(bed.settings.stateDir, 'relay.crt'), 'utf8')
    for (const servername of ['localhost', '127.0.0.1', '::1']) {
      const socket = tls.connect({
        port: bed.port('tunnel'),
        host: '127.0.0.1',
        ca,
        ...(servername === 'localhost' ? { servername } : {}),
        checkServerIdentity: (_, peer) => tls.checkServerIdentity(servername, peer),
      })
      await once(socket, 'secureConnect')
      assert.equal(socket.authorized, true)
      socket.destroy()
    }
    const stranger = tls.connect({ port: bed.port('tunnel'), host: '127.0.0.1' })
    const [error] = (await once(stranger, 'error')) as [NodeJS.ErrnoException]
    assert.match(String(error.code), /SELF_SIGNED/)
  })

  it('are what OpenSSL takes for a server and its own CA', async (t) => {
    if (!hasOpenssl()) return t.skip('openssl is not installed')
    const own = await settings(t, { domain: 'example.com' })
    await loadCertificate(own, silentLogger)
    const file = join(own.stateDir, 'relay.crt')
    const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', file]
    for (const name of ['-verify_hostname a.example.com', '-verify_hostname localhost', '-verify_ip ::1']) {
      execFileSync('openssl', [...verify, ...name.split(' '), file], { stdio: 'pipe' })
    }
  })

  it('have no wildcard for a domain that is an address', () => {
    assert.deepEqual(certificateNames('192.0.2.1'), ['192.0.2.1', 'localhost', '127.0.0.1', '::1'])
    assert.deepEqual(certificateNames('localhost'), ['localhost', '*.localhost', '127.0.0.1', '::1'])
  })

  it('of the operator are followed: agents stay, new ones see the new certificate', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('relay', ['localhost', 'first'])
    const tlsFiles = { cert: join(folder.path, 'relay.crt'), key: join(folder.path, 'relay.key') }
    const bed = await RelayBed.start(t, { tls: tlsFiles })
    const namesAt = async (port: number): Promise<string | undefined> => {
      const { socket } = await FrameSocket.tls(port)
      const names = (socket as tls.TLSSocket).getPeerCertificate().subjectaltname
      socket.destroy()
      return names
    }
    const agent = await bed.agent()
    const ports = [bed.port('tunnel'), bed.port('https')]
    for (const port of ports) assert.equal(await namesAt(port), 'DNS:localhost, DNS:first')
    await folder.add('relay', ['localhost', 'second'])
    await bed.tap.until('cert.reloaded', { port: 'tunnel' })
    await bed.tap.until('cert.reloaded', { port: undefined })
    for (const port of ports) assert.equal(await namesAt(port), 'DNS:localhost, DNS:second')
    assert.equal((await agent.ask({ Protocol: 'tcp' })).Error, '')
  })

  it('of the operator are refused with the name of the file and the fault', async (t) => {
    const own = await settings(t)
    const one = await makeCertificate(['localhost'])
    const other = await makeCertificate(['localhost'])
    const cert = join(own.stateDir, 'a.pem')
    const key = join(own.stateDir, 'b.pem')
    const load = (): Promise<unknown> => loadCertificate({ ...own, tls: { cert, key } }, silentLogger)
    await assert.rejects(load, { code: 'ERR_CERTIFICATE', message: /a\.pem does not exist/ })
    await writeFile(cert, one.cert)
    await writeFile(key, other.key)
    await assert.rejects(load, { code: 'ERR_CERTIFICATE', message: /b\.pem is not the key of .*a\.pem/ })
    await writeFile(key, 'no key')
    await assert.rejects(load, { code: 'ERR_CERTIFICATE', message: /b\.pem holds no PEM private key/ })
    await writeFile(cert, 'no certificate')
    await assert.rejects(load, { code: 'ERR_CERTIFICATE', message: /a\.pem holds no PEM certificate/ })
    await writeFile(cert, one.cert)
    await writeFile(key, one.key)
    await load()
  })
})
