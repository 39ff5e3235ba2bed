/** Which of the sockets that came from another relay, or from a service manager, are taken. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { HostPort } from '../../src/net/address.ts'
import { activation, inheritedFor, isElsewhere } from '../../src/relay/inheritance.ts'

function inherit(
  host: string,
  wanted: HostPort,
): { readonly taken: boolean; readonly closed: boolean; readonly elsewhere: boolean } {
  let closed = false
  const family = host.includes(':') ? 'ipv6' : 'ipv4'
  const socket = {
    address: { family, host, port: 8080 } as const,
    close: () => {
      closed = true
    },
  }
  const taken = inheritedFor(activation(new Map([['http', socket]])), 'http', wanted)
  return { taken: taken === socket, closed, elsewhere: taken === socket && isElsewhere(socket, wanted) }
}

describe('an inherited socket', () => {
  const kept = { taken: true, closed: false, elsewhere: false }
  const left = { taken: false, closed: true, elsewhere: false }

  it('is taken for its own address, and for a name or a port that may be its own', () => {
    assert.deepEqual(inherit('127.0.0.1', { host: '127.0.0.1', port: 8080 }), kept)
    assert.deepEqual(inherit('127.0.0.1', { host: 'localhost', port: 8080 }), kept)
    assert.deepEqual(inherit('127.0.0.1', { host: '127.0.0.1', port: 0 }), kept)
    assert.deepEqual(inherit('0.0.0.0', { host: '::', port: 8080 }), kept)
  })

  it('is closed when the settings say another port, or another single address', () => {
    assert.deepEqual(inherit('127.0.0.1', { host: '127.0.0.1', port: 8081 }), left)
    assert.deepEqual(inherit('127.0.0.1', { host: '127.0.0.2', port: 8080 }), left)
    assert.deepEqual(inherit('::1', { host: '127.0.0.1', port: 8080 }), left)
  })

  it('is kept where one for all addresses and one for a single one would need the same port', () => {
    assert.deepEqual(inherit('127.0.0.1', { host: '::', port: 8080 }), { ...kept, elsewhere: true })
    assert.deepEqual(inherit('::', { host: '127.0.0.1', port: 8080 }), { ...kept, elsewhere: true })
  })

  it('is none where none came', () => {
    assert.equal(inheritedFor(undefined, 'http', { host: '::', port: 8080 }), undefined)
  })
})
