import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closestName } from '../../src/config/closest-name.ts'

const names = ['addr', 'subdomain', 'remote_port', 'hostname', 'proto']

test('the name that was meant is the nearest one, when it is near', () => {
  for (const [word, meant] of [
    ['adr', 'addr'],
    ['subdomian', 'subdomain'],
    ['remotePort', 'remote_port'],
    ['remote-port', 'remote_port'],
    ['protocol', undefined],
    ['x', undefined],
    ['', undefined],
  ] as const) {
    assert.equal(closestName(word, names), meant, word)
  }
})
