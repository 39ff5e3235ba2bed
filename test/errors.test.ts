import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { errorCodes, MillraceError } from '../src/errors.ts'

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
const rows = [...page.matchAll(/^\| `(ERR_[A-Z_0-9]+)` \|([^|]*)\|([^|]*)\|$/gm)].map(([, code, cause, cure]) => ({
  code,
  cause: cause?.trim() ?? '',
  cure: cure?.trim() ?? '',
}))

describe('docs/errors.md', () => {
  it('has every code of the catalogue, once, and no other', () => {
    const documented = rows.map(({ code }) => code)
    const known: readonly (string | undefined)[] = errorCodes
    assert.deepEqual(
      {
        undocumented: known.filter((code) => !documented.includes(code)),
        unknown: documented.filter((code) => !known.includes(code)),
        twice: documented.filter((code, index) => documented.indexOf(code) !== index),
      },
      { undocumented: [], unknown: [], twice: [] },
    )
  })

  it('gives each a cause and a cure', () => {
    assert.deepEqual(
      rows.filter(({ cause, cure }) => cause.length < 10 || cure.length < 10).map(({ code }) => code),
      [],
    )
  })
})

describe('MillraceError', () => {
  it('puts the detail in the sentence, also one that looks like a replacement pattern', () => {
    const error = new MillraceError('ERR_ADDRESS', "$& $' $1")
    assert.equal(error.message, "not an address: $& $' $1")
    assert.deepEqual([error.code, error.name], ['ERR_ADDRESS', 'MillraceError'])
  })

  it('keeps its cause', () => {
    const cause = new Error('beneath')
    assert.equal(new MillraceError('ERR_LISTEN', 'here', { cause }).cause, cause)
  })

  it('is recognised across copies of the package, and nothing else is', async () => {
    const again = '../src/errors.ts?copy'
    const copy = (await import(again)) as typeof import('../src/errors.ts')
    assert.notEqual(copy.MillraceError, MillraceError)
    assert(new copy.MillraceError('ERR_TLS', 'x') instanceof MillraceError)
    assert(!(new Error('other') instanceof MillraceError))
    for (const value of [undefined, null, 1, 'text', {}]) assert(!((value as unknown) instanceof MillraceError))
  })
})
