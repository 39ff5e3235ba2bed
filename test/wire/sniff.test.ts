import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findFrameEnd } from '../../src/wire/codec.ts'
import { maxFrameBeforeAuth } from '../../src/wire/limits.ts'
import { looksLikeTls, sniffBytes } from '../../src/wire/sniff.ts'

describe('looksLikeTls', () => {
  it('knows a ClientHello by its first three bytes', () => {
    for (const version of [1, 2, 3, 4]) assert.equal(looksLikeTls(Buffer.from([0x16, 3, version])), true)
  })

  it('takes nothing else for one', () => {
    const others = [[], [0x16], [0x16, 3], [0x16, 3, 0], [0x16, 3, 5], [0x16, 2, 1], [0x15, 3, 1], [0x47, 0x45, 0x54]]
    for (const bytes of others) assert.equal(looksLikeTls(Buffer.from(bytes)), false)
  })

  it('never takes a frame before authentication for TLS', () => {
    const findEnd = findFrameEnd(maxFrameBeforeAuth)
    for (let length = 1; length <= maxFrameBeforeAuth; length++) {
      const bytes = Buffer.alloc(8)
      bytes.writeUInt32LE(length)
      if (looksLikeTls(bytes.subarray(0, sniffBytes))) assert.fail(`a frame of ${length} bytes looks like TLS`)
      if (length % 4096 === 0) assert.equal(findEnd(bytes), 0)
    }
  })
})
