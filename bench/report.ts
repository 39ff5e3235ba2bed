/**
 * Writes docs/benchmark.md and its pictures.
 *
 *     npm run bench:report -- [FILE…]
 *
 * Without files: all of bench/results/*.json. Of several runs each case is taken from the newest that has it.
 * bench/results/notes.md, if there is one, becomes a chapter of the report.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readResult } from './lib/result.ts'
import { renderReport } from './report/markdown.ts'
import { scenarios } from './scenarios/all.ts'

const docs = fileURLToPath(new URL('../docs', import.meta.url))
const results = fileURLToPath(new URL('results', import.meta.url))

function fail(message: string): never {
  process.stderr.write(`bench:report: ${message}\n`)
  process.exit(2)
}

function resultFiles(): readonly string[] {
  const named = process.argv.slice(2)
  if (named.length > 0) return named
  if (!existsSync(results)) return []
  const names = readdirSync(results).filter((name) => name.endsWith('.json'))
  return names.toSorted().map((name) => join(results, name))
}

const files = resultFiles()
if (files.length === 0) fail('there is no JSON file in bench/results; npm run bench -- --json FILE makes one')
try {
  const runs = files.map((file) => readResult(readFileSync(file, 'utf8'), file))
  const notes = join(results, 'notes.md')
  const order = scenarios.map(({ name }) => name)
  const report = renderReport(runs, order, existsSync(notes) ? readFileSync(notes, 'utf8') : '')
  const pictures = join(docs, 'benchmark')
  mkdirSync(pictures, { recursive: true })
  for (const name of readdirSync(pictures)) if (name.endsWith('.svg')) rmSync(join(pictures, name))
  for (const [name, text] of report) writeFileSync(join(docs, name), text)
  process.stdout.write(`docs/benchmark.md and ${report.size - 1} pictures, from ${files.join(', ')}\n`)
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}
