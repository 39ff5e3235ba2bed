import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readArguments } from '../../bench/lib/arguments.ts'
import { readResult } from '../../bench/lib/result.ts'
import { loadAddon } from '../../src/dataplane/native/load.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

function command(file: string, ...words: readonly string[]) {
  const args = ['--import', 'tsx', file, ...words]
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 120_000 })
}

const bench = (...words: readonly string[]) => command('bench/run.ts', ...words)

function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)))
}

/** Why the bench can't run here. */
function obstacle(): string | false {
  if (process.platform !== 'linux') return 'the bench needs Linux'
  if (!hasProgram(process.env['CXX'] ?? 'g++')) return 'the bench needs a C++ compiler'
  return loadAddon().state === 'loaded' ? false : 'there is no addon'
}

describe('the command line of the bench', () => {
  const known = { scenarios: ['bulk', 'echo', 'idle'], contenders: ['direct', 'copy'] }

  it('has defaults that give verdicts', () => {
    assert.deepEqual(readArguments([], known), {
      help: false,
      scenarios: ['bulk', 'echo', 'idle'],
      cases: [],
      effort: { rounds: 7, scale: 1 },
    })
  })

  it('takes scenarios in the order of the report, contenders and effort', () => {
    const words = [
      'idle',
      'bulk',
      '--only',
      'copy',
      '--case',
      '64 B',
      '--quick',
      '--rounds',
      '9',
      '--scale',
      '0.01',
      '--json',
      'x',
    ]
    assert.deepEqual(readArguments(words, known), {
      help: false,
      scenarios: ['bulk', 'idle'],
      only: new Set(['copy']),
      effort: { rounds: 9, scale: 0.01 },
      cases: ['64 B'],
      json: 'x',
    })
  })

  it('refuses what it does not know, in one sentence', () => {
    const refused = (...words: readonly string[]): string => {
      try {
        readArguments(words, known)
      } catch (error) {
        return error instanceof Error ? error.message : ''
      }
      return 'accepted'
    }
    assert.equal(refused('bulky'), 'there is no scenario bulky; there are bulk, echo, idle')
    assert.equal(refused('--only', 'copy,x'), 'there is no contender x; there are direct, copy')
    assert.equal(refused('--rounds', '0'), '--rounds takes a whole number from 1')
    assert.equal(refused('--scale', 'x'), '--scale takes a number above 0, at most 100')
    assert.match(refused('--loud'), /--loud/)
  })

  it('ends the program with 2', () => {
    const { status, stderr, stdout } = bench('bulky')
    assert.equal(status, 2)
    assert.match(stderr, /^bench: there is no scenario bulky; there are bulk, echo/m)
    assert.equal(stdout, '')
  })
})

describe('the other commands of the bench', () => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['bench/report.ts', ['no-such-file.json'], /^bench:report: .*no-such-file\.json/m],
    [
      'bench/report.ts',
      ['package.json'],
      /^bench:report: package\.json is no result of the bench: it has no machine$/m,
    ],
    ['bench/profile.ts', ['smoke'], /^bench:profile: there is no smoke; there are flame, bubbleprof, heap$/m],
    ['bench/profile.ts', ['--load', 'heavy'], /^bench:profile: --load takes connect, echo, bulk, http$/m],
    ['bench/profile.ts', ['--loud'], /^bench:profile: .*--loud/m],
  ]
  for (const [file, words, message] of cases) {
    it(`refuse ${file} ${words.join(' ')} with 2 and a sentence`, () => {
      const { status, stderr } = command(file, ...words)
      assert.equal(status, 2)
      assert.match(stderr, message)
    })
  }
})

describe('the bench', () => {
  it('measures, prints its rows and verdicts, and writes them down', { skip: obstacle(), timeout: 180_000 }, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-test-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const json = join(folder, 'result.json')
    const only = ['--only', 'direct,adaptive,stream']
    const { status, stdout, stderr } = bench('bulk', ...only, '--rounds', '1', '--scale', '0.005', '--json', json)
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, /^bulk +1 flow down +adaptive +cpu_s_per_gb +[\d.]+ \(/m)
    assert.match(stdout, /^not judged bulk, .*\(no figures of haproxy-splice\)$/m)
    const { rows, verdicts, failures, effort } = readResult(readFileSync(json, 'utf8'), json)
    assert.deepEqual(failures, [])
    assert.deepEqual(effort, { rounds: 1, scale: 0.005 })
    const measured = new Set(rows.map((row) => `${row.case} ${row.contender}`))
    for (const name of ['1 flow down', '1 flow up', '8 flows down', '8 flows up']) {
      for (const contender of ['direct', 'adaptive', 'stream']) assert.ok(measured.has(`${name} ${contender}`))
    }
    assert.ok(rows.every(({ median, runs }) => median > 0 && runs === 1))
    assert.ok(verdicts.every(({ passed }) => passed === undefined))
  })
})
