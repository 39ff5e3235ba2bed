import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasCredentials } from '../../src/http/basic-auth.ts'

const check = (expected: string, ...values: readonly string[]): boolean =>
  hasCredentials(
    values.map((value) => ({ name: 'Authorization', key: 'authorization', value })),
    expected,
  )

const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`

test('the right credentials, with passwords of any kind', () => {
  for (const credentials of ['user:pass', 'user:a:b', 'user:', ':pass', 'üser:pässword']) {
    assert.equal(check(credentials, basic(credentials)), true)
  }
  assert.equal(check('u:p', basic('u:p').replace('Basic', 'bASIC')), true)
})

test('everything else', () => {
  assert.equal(check('u:p'), false)
  for (const value of ['', 'Basic', 'Basic ', 'Basic !', basic(''), basic('u:q'), basic('u:pp'), basic('U:p')]) {
    assert.equal(check('u:p', value), false, value)
  }
  assert.equal(check('u:p', `Bearer ${Buffer.from('u:p').toString('base64')}`), false)
  assert.equal(check('u:p', basic('u:p'), basic('u:p')), false)
  assert.equal(check('u:p', basic('x:y'), basic('u:p')), false)
})
