import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readJoinLimits } from '../../src/dataplane/join-options.ts'
import { statKeys } from '../../src/dataplane/stats.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const text = read('docs/dataplane.md')
const headers = readdirSync(join(root, 'native/engine')).filter((name) => name.endsWith('.h'))
const sources = readdirSync(join(root, 'native/engine')).filter((name) => name.endsWith('.cc'))

/** The part of the document under a heading. */
function section(title: string): string {
  const part = text.split(/^## /m).find((one) => one.startsWith(`${title}\n`))
  assert(part !== undefined, title)
  return part
}

/** The first cells of a part's table rows, where they are code. */
function firstCells(part: string): readonly string[] {
  return [...part.matchAll(/^\| `([^`|]+)` \|/gm)].map(([, cell = '']) => cell)
}

/** `256 << 10` and the like, and `256 KiB` and the like. */
function value(expression: string): number {
  const shifted = expression.replaceAll('u', '').match(/^(\d+) << (\d+)$/)
  if (shifted !== null) return Number(shifted[1]) * 2 ** Number(shifted[2])
  const [, n = '', unit = ''] = expression.replaceAll("'", '').match(/^(\d+)(?: (KiB|MiB))?$/) ?? []
  assert.notEqual(n, '', expression)
  return Number(n) * (unit === 'KiB' ? 1_024 : unit === 'MiB' ? 1_048_576 : 1)
}

describe('docs/dataplane.md', () => {
  it('names tests that exist', () => {
    const cited = [...text.replaceAll(/\s+/g, ' ').matchAll(/`((?:native|test)\/[\w./-]+)`: \*([^*]+)\*/g)]
    assert.ok(cited.length > 40, `${cited.length} citations`)
    const wrong = cited
      .filter(([, file = '', name = '']) => !existsSync(join(root, file)) || !read(file).includes(name))
      .map(([, file, name]) => `${file}: ${name}`)
    assert.deepEqual(wrong, [])
  })

  it('has every system call of the table, and no other', () => {
    const table = read('native/engine/syscalls.h').match(/struct Syscalls \{([\s\S]*?)\n\};/)?.[1] ?? ''
    const calls = [...table.matchAll(/\(\*(\w+)\)\(/g)].map(([, name = '']) => name)
    assert.ok(calls.length > 20)
    assert.deepEqual([...firstCells(section('System calls'))].sort(), calls.sort())
  })

  it('has every errno that the engine tells from others', () => {
    const code = sources.map((name) => read(`native/engine/${name}`).replaceAll(/\/\/.*/g, '')).join('\n')
    const words = [...code.matchAll(/\bE[A-Z]{3,}\b/g)].map(([name]) => name)
    const known = new Set(words.filter((name) => name in constants.errno))
    assert.ok(known.size > 10)
    // What the engine says itself: a client that is gone, writes that piled up.
    for (const own of ['ECANCELED']) known.delete(own)
    const missing = [...known].filter((name) => !new RegExp(`\\b${name}\\b`).test(text))
    assert.deepEqual(missing, [])
  })

  it('has the limits with their defaults', () => {
    const rows = [...section('Limits').matchAll(/^\| `(\w+Ms)` \| (\d+) \|/gm)].map(([, key = '', n]) => [
      key,
      Number(n),
    ])
    assert.deepEqual(Object.fromEntries(rows), readJoinLimits({}))
  })

  it('has the engine’s constants with their values', () => {
    const rows = [...section('Limits').matchAll(/^\| `(\w+)::(k\w+)` \| ([^|]+) \|/gm)]
    assert.ok(rows.length > 10)
    for (const [, owner = '', name = '', said = ''] of rows) {
      const header = headers
        .map((file) => read(`native/engine/${file}`))
        .find((all) => new RegExp(`(class|struct) ${owner} `).test(all))
      const found = header?.match(new RegExp(` ${name} = ([^;]+);`))?.[1] ?? ''
      const real = found === '1u << kIndexBits' ? '1 << 20' : found
      assert.equal(value(said), value(real), `${owner}::${name}`)
    }
  })

  it('has every number of the statistics, and no other', () => {
    assert.deepEqual([...firstCells(section('Statistics'))].sort(), [...statKeys].sort())
  })
})
