import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { WatchTimes } from '../../src/folder-watch.ts'
import { CertificateStore } from '../../src/relay/certificate-store.ts'
import { makeCertificate } from '../dataplane/certificate.ts'
import { CertificateFolder } from './certificate-folder.ts'
import { LogTap } from './log-tap.ts'

const never = 2 ** 30

interface Bed {
  readonly store: CertificateStore
  readonly tap: LogTap
}

async function open(t: TestContext, folder: CertificateFolder, watch: WatchTimes = { pollMs: never }): Promise<Bed> {
  const tap = new LogTap()
  const fallback = await makeCertificate(['localhost', '*.tunnels.example'])
  const place = { kind: 'folder', path: folder.path } as const
  const store = await CertificateStore.open({ place, fallback, log: tap.log, watch })
  t.after(() => store.close())
  return { store, tap }
}

const nameOf = (store: CertificateStore, name: string): string => store.find(name).parsed.subjectAltName ?? ''

describe('a store of certificates', () => {
  it('finds the own one, the wildcard, the default', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('a.example', ['a.example', 'own'])
    await folder.add('_.a.example', ['*.a.example'])
    await folder.add('b.a.example', ['b.a.example'])
    await folder.write('README', 'no certificate')
    const { store, tap } = await open(t, folder)
    assert.equal(nameOf(store, 'a.example'), 'DNS:a.example, DNS:own')
    assert.equal(nameOf(store, 'x.a.example'), 'DNS:*.a.example')
    assert.equal(nameOf(store, 'b.a.example'), 'DNS:b.a.example')
    // A wildcard stands for one label.
    for (const name of ['x.y.a.example', 'example', '', 'default']) assert.match(nameOf(store, name), /DNS:localhost/)
    await folder.add('default', ['default.example'])
    await tap.until('cert.reloaded')
    for (const name of ['x.y.a.example', '', 'default']) assert.equal(nameOf(store, name), 'DNS:default.example')
    assert.deepEqual(tap.all('cert.loaded')[0]?.['names'], ['_.a.example', 'a.example', 'b.a.example'].map(star))
  })

  it('knows the names that a certificate is for, those of the default included', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('_.a.example', ['*.a.example'])
    const { store } = await open(t, folder)
    for (const name of ['x.a.example', 'localhost', 'x.tunnels.example']) assert(store.covers(name), name)
    for (const name of ['a.example', 'x.y.a.example', 'other.example']) assert(!store.covers(name), name)
  })

  it('keeps the objects of what has not changed: their contexts and tickets live on', async (t) => {
    const folder = await CertificateFolder.make(t)
    const same = await folder.add('a.example', ['a.example'])
    await folder.add('b.example', ['b.example'])
    const { store, tap } = await open(t, folder)
    const [a, b] = [store.find('a.example'), store.find('b.example')]
    await folder.write('a.example.crt', same.cert)
    await folder.add('b.example', ['b.example', 'new'])
    assert.deepEqual((await tap.until('cert.reloaded'))['names'], ['b.example'])
    assert.equal(store.find('a.example').https, a.https)
    assert.notEqual(store.find('b.example').https, b.https)
    assert.equal(nameOf(store, 'b.example'), 'DNS:b.example, DNS:new')
  })

  it('keeps the old pair while the new one is faulty, and says so once', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('a.example', ['a.example'])
    const { store, tap } = await open(t, folder)
    const before = store.find('a.example')
    const next = await makeCertificate(['a.example', 'next'])
    await folder.write('a.example.crt', next.cert)
    const refused = await tap.until('cert.refused')
    assert.equal(refused['code'], 'ERR_CERTIFICATE')
    assert.match(String(refused['error']), /a\.example\.key is not the key of .*a\.example\.crt/)
    assert.equal(store.find('a.example'), before)
    await store.reload()
    assert.equal(tap.all('cert.refused').length, 1)
    await folder.write('a.example.key', next.key)
    await tap.until('cert.reloaded')
    assert.equal(nameOf(store, 'a.example'), 'DNS:a.example, DNS:next')
  })

  it('forgets what was taken away, and keeps everything while the folder is gone', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('a.example', ['a.example'])
    await folder.add('b.example', ['b.example'])
    const { store, tap } = await open(t, folder)
    await folder.remove('a.example')
    assert.deepEqual((await tap.until('cert.reloaded'))['names'], ['a.example'])
    assert(!store.covers('a.example'))
    await rm(folder.path, { recursive: true })
    await tap.until('cert.refused')
    assert.equal(nameOf(store, 'b.example'), 'DNS:b.example')
  })

  it('finds changes that the system does not tell of', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('a.example', ['a.example'])
    // A watch that never settles stands for a file system without notifications.
    const { store, tap } = await open(t, folder, { settleMs: never, pollMs: 20 })
    await folder.add('a.example', ['a.example', 'polled'])
    await tap.until('cert.reloaded')
    assert.match(nameOf(store, 'a.example'), /polled/)
  })

  it('warns of an expired one and uses it', async (t) => {
    const folder = await CertificateFolder.make(t)
    await folder.add('a.example', ['a.example'], -1)
    const { store, tap } = await open(t, folder)
    assert.equal((await tap.until('cert.expired'))['name'], 'a.example')
    assert.equal(nameOf(store, 'a.example'), 'DNS:a.example')
  })

  const faults: readonly (readonly [RegExp, (folder: CertificateFolder) => Promise<unknown>])[] = [
    [
      /a\.example\.key does not exist/,
      async (f) => f.write('a.example.crt', (await makeCertificate(['a.example'])).cert),
    ],
    [/a\.example\.key has no a\.example\.crt beside it/, (f) => f.write('a.example.key', 'x')],
    [/b\.example\.crt is not for b\.example/, (f) => f.add('b.example', ['a.example'])],
    [/_\.b\.example\.crt is not for \*\.b\.example/, (f) => f.add('_.b.example', ['b.example'])],
    [/a b\.crt is named after no host/, (f) => f.add('a b', ['a.example'])],
    [
      /a\.example\.crt is the second one for a\.example/,
      async (f) => {
        await f.add('A.example', ['a.example'])
        await f.add('a.example', ['a.example'])
      },
    ],
    [
      /c\.example\.crt holds no PEM certificate/,
      async (f) => {
        const { cert } = await f.add('c.example', ['c.example'])
        await f.write('c.example.crt', `${cert}\n-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n`)
      },
    ],
  ]
  for (const [message, prepare] of faults) {
    it(`refuses to start: ${message.source}`, async (t) => {
      const folder = await CertificateFolder.make(t)
      await prepare(folder)
      await assert.rejects(() => open(t, folder), { code: 'ERR_CERTIFICATE', message })
    })
  }

  it('refuses to start without the folder', async (t) => {
    const folder = new CertificateFolder(join((await CertificateFolder.make(t)).path, 'none'))
    await assert.rejects(() => open(t, folder), { code: 'ERR_CERTIFICATE', message: /none cannot be read/ })
  })
})

function star(stem: string): string {
  return stem.replace(/^_/, '*')
}
