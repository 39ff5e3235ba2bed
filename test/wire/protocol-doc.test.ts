/** docs/protocol.md is the authority: whatever the code knows of the wire must be in it, with the same values. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { errorCodes } from '../../src/errors.ts'
import * as limits from '../../src/wire/limits.ts'
import { extensions } from '../../src/wire/messages.ts'
import { messageTypes, schemaOf } from '../../src/wire/schema.ts'

const lines = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8').split('\n')

/** The one row that defines `name`: it stands in the first cell of a table. Other sections only use them. */
function row(name: string): string {
  const defining = lines.slice(lines.indexOf('## 3. Messages'), lines.indexOf('## 8. Violations'))
  const rows = defining.filter((line) => line.startsWith(`| \`${name}\``))
  assert.equal(rows.length, 1, `docs/protocol.md has ${rows.length} rows for ${name}`)
  return rows[0] ?? ''
}

describe('docs/protocol.md', () => {
  for (const type of messageTypes) {
    it(`describes ${type} with its fields in order, extensions marked`, () => {
      const fields = schemaOf(type)?.ordered ?? []
      const described = [...row(type).matchAll(/`([A-Z]\w*)`(\*?)/g)].map(([, name, star]) => `${name}${star}`)
      const expected = fields.map(({ name, spec }) => (spec.optional ? `${name}*` : name))
      assert.deepEqual(
        described.filter((name) => expected.includes(name)),
        expected,
      )
    })
  }

  for (const extension of extensions) {
    it(`describes the extension ${extension}`, () => {
      assert.ok(row(extension).length > 80)
    })
  }

  for (const [name, value] of Object.entries(limits)) {
    it(`has ${name} with its value`, () => {
      assert.equal(row(name).split('|')[2]?.trim(), typeof value === 'string' ? `"${value}"` : String(value))
    })
  }

  it('has no constant that the code lacks', () => {
    const start = lines.indexOf('## 7. Limits and times')
    const end = lines.indexOf('## 8. Violations')
    const named = lines.slice(start, end).flatMap((line) => /^\| `(\w+)`/.exec(line)?.[1] ?? [])
    assert.deepEqual(named, limitsInOrder())
  })

  it('says what each end does on each error of a frame', () => {
    const text = lines.join('\n')
    for (const code of errorCodes) if (code.startsWith('ERR_FRAME_')) assert.ok(text.includes(code), code)
  })
})

/** Module namespaces list their names by alphabet: take the source's order. */
function limitsInOrder(): string[] {
  const source = readFileSync(new URL('../../src/wire/limits.ts', import.meta.url), 'utf8')
  return [...source.matchAll(/^export const (\w+)/gm)].flatMap(([, name]) => name ?? [])
}
