import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Endpoint } from '../../../src/dataplane/types.ts'
import { MillraceError } from '../../../src/errors.ts'
import { makeCertificate } from '../certificate.ts'
import { nativePlane, skip } from './plane.ts'

/** Worker::kMaxHandshakes in native/engine/worker.h. */
const most = 4_096

test('one handshake more than a worker may have is refused; once others are gone there is room', {
  skip,
}, async (t) => {
  const plane = nativePlane()
  if (plane.stats().threads > 1) {
    t.skip('several workers would need more descriptors than a process may have')
    return
  }
  const folder = await mkdtemp(join(tmpdir(), 'millrace-handshakes-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'door')
  const tls = { role: 'server', ...(await makeCertificate(['localhost'])), handshakeTimeoutMs: 60_000 } as const
  const refused = (): number => plane.stats().total.handshakes.refused

  const silent: Endpoint[] = []
  t.after(() => {
    for (const peer of silent) peer.destroy()
  })
  const codes: string[] = []
  const ended: Promise<void>[] = []
  let full: () => void = () => undefined
  const tooMany = new Promise<void>((resolve) => {
    full = resolve
  })
  const listener = await plane.listen({ path }, {}, (batch) => {
    for (const endpoint of batch) {
      const end = plane.secure(endpoint, tls).then(
        (secured) => secured.destroy(),
        (error: unknown) => {
          codes.push(error instanceof MillraceError ? error.code : String(error))
          full()
        },
      )
      ended.push(end)
    }
  })
  t.after(() => listener.close())

  while (silent.length < most + 1) {
    const batch = Array.from({ length: Math.min(64, most + 1 - silent.length) }, () => plane.dial({ path }))
    silent.push(...(await Promise.all(batch)))
  }
  await tooMany
  assert.deepEqual(codes, ['ERR_TLS_BUSY'])
  assert.equal(refused(), 1)

  for (const peer of silent.splice(0)) peer.destroy()
  await Promise.all(ended)
  assert.equal(plane.stats().total.handshakes.now, 0)
  const again = await plane.dial({ path })
  again.destroy()
  while (ended.length < most + 2) await new Promise((resolve) => setImmediate(resolve))
  await Promise.all(ended)
  assert.equal(refused(), 1)
})
