import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Finding, findingsOf, type PlaneFacts } from '../../src/cli/doctor-report.ts'
import type { LoadResult } from '../../src/dataplane/native/load.ts'

const tls = { by: 'native', reason: '' } as const
const native: PlaneFacts = { kind: 'native', mode: 'native', threads: 3, spliceFallbacks: {}, tls }
const stream: PlaneFacts = { ...native, kind: 'stream', threads: 0, tls: { by: 'stream', reason: '' } }
const absent: LoadResult = { state: 'absent', tried: [] }
const limits = { pipePagesSoft: 16_384, openFiles: 65_536, backlog: 4_096, openssl: '3.0.0' }

function find(findings: readonly Finding[], check: Finding['check']): Finding | undefined {
  return findings.find((finding) => finding.check === check)
}

describe('the findings of the doctor', () => {
  it('say why the native data plane does not run, and what that costs', () => {
    assert.match(find(findingsOf(stream, absent, limits), 'data-plane')?.says ?? '', /no addon for .*CPU seconds/)
    const broken: LoadResult = { state: 'broken', tried: [{ path: '/x/millrace.node', reason: 'wrong ELF class' }] }
    const { state, says } = find(findingsOf(stream, broken, limits), 'data-plane') ?? {}
    assert.equal(state, 'cost')
    assert.match(says ?? '', /\/x\/millrace\.node: wrong ELF class/)
  })

  it('say why splice is not used', () => {
    const refused = { ...native, spliceFallbacks: { EPERM: 2, EINVAL: 0 } }
    assert.match(find(findingsOf(refused, absent, limits), 'splice')?.says ?? '', /: EPERM; copies/)
    assert.equal(find(findingsOf(native, absent, limits), 'splice')?.state, 'ok')
    assert.equal(find(findingsOf(stream, absent, limits), 'splice'), undefined)
  })

  it('say what speaks TLS, and why it is not the engine', () => {
    assert.equal(find(findingsOf(native, absent, limits), 'tls')?.state, 'ok')
    assert.match(find(findingsOf(stream, absent, limits), 'tls')?.says ?? '', /on Node streams; /)
    const without = { ...native, tls: { by: 'stream', reason: 'this process exports no OpenSSL' } } as const
    const { state, says } = find(findingsOf(without, absent, limits), 'tls') ?? {}
    assert.equal(state, 'cost')
    assert.match(says ?? '', /on Node streams: this process exports no OpenSSL; /)
  })

  it('name small limits', () => {
    const small = findingsOf(native, absent, { ...limits, openFiles: 1_024, backlog: 128 })
    assert.match(find(small, 'descriptors')?.says ?? '', /about 512/)
    assert.match(find(small, 'backlog')?.says ?? '', /128, below 4096/)
    assert.deepEqual([find(small, 'descriptors')?.state, find(small, 'backlog')?.state], ['cost', 'cost'])
  })

  it('leave out what the system does not tell', () => {
    const none = { pipePagesSoft: undefined, openFiles: undefined, backlog: undefined, openssl: '3.0.0' }
    assert.deepEqual(
      findingsOf(native, absent, none).map(({ check }) => check),
      ['data-plane', 'splice', 'workers', 'tls'],
    )
    const unlimited = findingsOf(native, absent, { ...none, openFiles: Number.POSITIVE_INFINITY })
    assert.match(find(unlimited, 'descriptors')?.says ?? '', /without limit/)
  })
})
