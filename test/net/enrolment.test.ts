import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MillraceError } from '../../src/errors.ts'
import { formatEnrolment, parseEnrolment } from '../../src/net/enrolment.ts'

const pin = 'ab'.repeat(32)

describe('enrolment', () => {
  it('reads back what was written', () => {
    for (const host of ['relay.example.com', '192.0.2.1', '::1']) {
      const enrolment = { relay: { host, port: 4444 }, token: 'tok-_en', pins: [pin, 'cd'.repeat(32)] } as const
      assert.deepEqual(parseEnrolment(`${formatEnrolment(enrolment)}\n`), enrolment)
    }
    assert.equal(parseEnrolment(`millrace://t@relay.example.com#sha256=${pin}`).relay.port, 4443)
  })

  for (const [what, text] of [
    ['nothing', ''],
    ['another scheme', `https://hunter2@relay.example.com#sha256=${pin}`],
    ['no pin', 'millrace://hunter2@relay.example.com'],
    ['a short pin', 'millrace://hunter2@relay.example.com#sha256=abcd'],
    ['no token', `millrace://@hunter2.example.com#sha256=${pin}`],
    ['no host', `millrace://hunter2@#sha256=${pin}`],
    ['a bad port', `millrace://hunter2@relay:70000#sha256=${pin}`],
    ['a path', `millrace://hunter2@relay/path#sha256=${pin}`],
  ] as const) {
    it(`refuses ${what}, and shows nothing of it`, () => {
      assert.throws(
        () => parseEnrolment(text),
        (error) =>
          error instanceof MillraceError && error.code === 'ERR_ENROLMENT' && !error.message.includes('hunter2'),
      )
    })
  }
})
