import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { formatResult, readResult } from '../../bench/lib/result.ts'
import { rowsOf } from '../../bench/lib/summary.ts'
import { renderReport } from '../../bench/report/markdown.ts'
import { mergeResults } from '../../bench/report/merge.ts'
import { drawPicture } from '../../bench/report/svg.ts'
import { busyPart } from '../../bench/report/tables.ts'
import { scenarios } from '../../bench/scenarios/all.ts'
import { bulkRows, rounds, sampleResult } from './sample-result.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const order = scenarios.map(({ name }) => name)

describe('a result', () => {
  it('is the same after it was written and read, an entry a line', () => {
    const text = formatResult(sampleResult())
    const again = readResult(text, 'x.json')
    assert.equal(formatResult(again), text)
    assert.equal(again.rows.length, sampleResult().rows.length)
    assert.ok(text.split('\n').length < again.rows.length + 60)
  })

  it('is refused with its name when it is something else', () => {
    assert.throws(() => readResult('{', 'x.json'), /^Error: x\.json is not JSON$/)
    assert.throws(() => readResult('[]', 'x.json'), /x\.json is no result of the bench: it has no machine/)
    const text = formatResult(sampleResult()).replace(/"verdicts": \[\]/, '"verdicts": 3')
    assert.throws(() => readResult(text, 'x.json'), /verdicts is no list/)
  })
})

describe('several results', () => {
  it('become one, each case in whole from its newest run', () => {
    const old = sampleResult()
    const echo = rowsOf('echo', '64 B x 32', 'adaptive', rounds({ p99_us: 90 }))
    const older = sampleResult({
      date: '2026-11-21T20:00:00.000Z',
      rows: [...echo, ...bulkRows(), ...bulkRows('8 flows up')],
      commit: 'aaa',
    })
    const merged = mergeResults([old, older], order)
    assert.deepEqual(
      merged.sections.flatMap(({ name, cases }) =>
        cases.map((each) => [name, each.name, merged.runs[each.run]?.commit]),
      ),
      [
        ['bulk', '1 flow down', '0123456789ab'],
        ['bulk', '8 flows up', 'aaa'],
        ['bulk', '8 flows down', '0123456789ab'],
        ['echo', '64 B x 32', 'aaa'],
      ],
    )
  })
})

describe('the report', () => {
  it('says what was measured, where, what was missed and what could not be judged', () => {
    const text = renderReport([sampleResult()], order, 'A remark.').get('benchmark.md') ?? ''
    for (const words of [
      'Processor <1>, 2 cores, 8 GiB',
      'Linux 6.1.0',
      'cubic',
      '`npm run bench -- bulk`',
      'HAProxy 2.6',
      '## Remarks on these figures\n\nA remark.',
      'not judged: no figures of nginx-stream',
      'Not measured, as their programs were not there: nginx-stream (nginx)',
      '![Bulk: speed](benchmark/bulk-speed.svg)',
    ]) {
      assert.ok(text.includes(words), words)
    }
    assert.match(text, /^\| adaptive \| 17\.8 \([\d.]+–[\d.]+\) \| 0\.450 \([\d.]+–[\d.]+\) \| 100 % \|$/m)
  })

  it('is the same for the same results, in any order', () => {
    const [a, b] = [sampleResult(), sampleResult({ date: '2026-11-23T20:00:00.000Z', rows: bulkRows('1 flow up') })]
    assert.deepEqual([...renderReport([a, b], order)], [...renderReport([b, a], order)])
  })

  it('needs figures', () => {
    assert.throws(() => renderReport([sampleResult({ rows: [] })], order), /no figures/)
  })

  it('in docs/ is what bench/results gives', (t) => {
    const folder = join(root, 'bench/results')
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []
    if (names.length === 0) return t.skip('bench/results has no files')
    const runs = names.map((name) => readResult(readFileSync(join(folder, name), 'utf8'), name))
    const notes = join(folder, 'notes.md')
    const report = renderReport(runs, order, existsSync(notes) ? readFileSync(notes, 'utf8') : '')
    for (const [name, text] of report) {
      assert.ok(readFileSync(join(root, 'docs', name), 'utf8') === text, `docs/${name}: npm run bench:report`)
    }
    const pictures = readdirSync(join(root, 'docs/benchmark')).map((name) => `benchmark/${name}`)
    assert.deepEqual(
      pictures.filter((name) => !report.has(name)),
      [],
    )
  })
})

describe('a picture', () => {
  it('escapes its words, keeps whiskers inside and has colours for both schemes', () => {
    const bars = [{ label: 'a<b', family: 'main', median: 2, min: 1, max: 4 } as const]
    const svg = drawPicture({ title: 'a & b', subtitle: 's', panels: [{ title: 'p', bars }] })
    assert.match(svg, /a&lt;b/)
    assert.match(svg, /a &amp; b/)
    assert.match(svg, /prefers-color-scheme: dark/)
    // The axis is at 120 and the largest value 198 further.
    assert.match(svg, /class="whisker" d="M169\.5 87\.5H318/)
    assert.doesNotMatch(svg, /NaN|Infinity/)
  })

  it('keeps what is far beyond ours on the axis, with an arrow', () => {
    const ours = { label: 'a', family: 'main', median: 2, min: 1, max: 2 } as const
    const far = { label: 'b', family: 'other', median: 500, min: 400, max: 600_000 } as const
    const svg = drawPicture({ title: 't', subtitle: 's', panels: [{ title: 'p', bars: [ours, far] }] })
    assert.match(svg, /500\.0 <tspan class="soft">\(400\.0–600k\)/)
    assert.match(svg, /H318M320 103\.5l3 3l-3 3"/)
    const ends = [...svg.matchAll(/H([\d.]+)/g)].map(([, x]) => Number(x))
    assert.ok(ends.length === 2 && ends.every((x) => x <= 318))
  })

  it('is drawn of zeros as well', () => {
    const bars = [{ label: 'a', family: 'other', median: 0, min: 0, max: 0 } as const]
    assert.doesNotMatch(drawPicture({ title: 't', subtitle: 's', panels: [{ title: 'p', bars }] }), /NaN|Infinity/)
  })
})

describe('the part of a core that a contender used', () => {
  it('is its cost by its rate', () => {
    const rows = rowsOf('bulk', 'c', 'x', [{ cpu_s_per_gb: 0.5, gbit_s: 8 }])
    assert.equal(busyPart(rows), 0.5)
    assert.equal(busyPart(rowsOf('echo', 'c', 'x', [{ cpu_us_per_round_trip: 10, round_trips_s: 1e5 }])), 1)
    assert.equal(busyPart(rowsOf('bulk', 'c', 'x', [{ gbit_s: 8 }])), undefined)
  })
})
