/** Regression: an endpoint that is reset as soon as its handshake is done must not take the process with it. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createDataPlane } from '../../../src/dataplane/create.ts'
import type { Endpoint, TlsOptions } from '../../../src/dataplane/types.ts'
import { makeCertificate } from '../certificate.ts'

it('a TLS endpoint can be reset in the turn in which secure() resolves', async () => {
  const dataPlane = createDataPlane('stream')
  const certificate = await makeCertificate(['localhost'])
  const server: TlsOptions = { role: 'server', ...certificate }
  const client: TlsOptions = { role: 'client', serverName: 'localhost', trust: { kind: 'ca', pem: certificate.cert } }
  const resetAtOnce = async (plain: Promise<Endpoint> | Endpoint, options: TlsOptions): Promise<string> => {
    try {
      const endpoint = await dataPlane.secure(await plain, options)
      endpoint.destroy('reset')
      return 'secured'
    } catch {
      // The other side was faster.
      return 'refused'
    }
  }
  const accepted: Promise<string>[] = []
  const listener = await dataPlane.listen({ host: '127.0.0.1', port: 0 }, {}, (batch) => {
    for (const endpoint of batch) accepted.push(resetAtOnce(endpoint, server))
  })
  assert.ok(listener.address.family !== 'unix')
  const { host, port } = listener.address
  for (let round = 0; round < 30; round++) {
    const dialed = Array.from({ length: 5 }, () => resetAtOnce(dataPlane.dial({ host, port }), client))
    const ends = await Promise.all(dialed)
    assert.ok(ends.includes('secured'))
  }
  await Promise.all(accepted)
  await listener.close()
})
