/**
 * The bench.
 *
 *     npm run bench -- [scenario…] [--only CONTENDER,…] [--case WORDS] [--quick] [--json FILE]
 *
 * Contenders take turns round by round, at least seven rounds; everything that relays is pinned to one core and the
 * load to another. Needs Linux and a C++ compiler. The exit code is 2 for wrong usage, 1 when a contender failed in a
 * case, else 0: a missed bar is a finding, no failure.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { contenders as all } from './contenders/all.ts'
import { readArguments, UsageError, usage } from './lib/arguments.ts'
import { bars } from './lib/bars.ts'
import { buildLoad } from './lib/load.ts'
import { readCommit, readMachine, which } from './lib/machine.ts'
import { formatResult } from './lib/result.ts'
import type { Bench, Failure } from './lib/scenario.ts'
import type { Row } from './lib/summary.ts'
import { judgeAll, verdictLine } from './lib/verdicts.ts'
import { scenarios } from './scenarios/all.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const say = (text: string): void => void process.stdout.write(`${text}\n`)

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`)
  process.exit(2)
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w.,/=-]+$/.test(word) ? word : `'${word}'`
}

function readCommandLine(): ReturnType<typeof readArguments> {
  try {
    const known = { scenarios: scenarios.map(({ name }) => name), contenders: all.map(({ name }) => name) }
    return readArguments(process.argv.slice(2), known)
  } catch (error) {
    if (error instanceof UsageError) return fail(error.message)
    throw error
  }
}

const { help, scenarios: chosen, only, cases, effort, json } = readCommandLine()
const wants = (name: string): boolean => cases.length === 0 || cases.some((words) => name.includes(words))
if (help) {
  say(usage)
  process.exit(0)
}
if (process.platform !== 'linux') fail('it needs Linux')
buildLoad()

const missing = new Map<string, readonly string[]>()
for (const { name, programs } of all) {
  const absent = programs.filter((program) => which(program) === undefined)
  if (absent.length > 0) missing.set(name, absent)
}
const machine = readMachine()
const commit = readCommit(root)
say(
  `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, ${machine.congestionControl}, Node ${machine.node}`,
)
for (const [name, programs] of missing) say(`missing: ${name} (${programs.join(', ')} is not on PATH)`)

const wanted = bars.map((bar) => ({ ...bar, cases: bar.cases.filter(wants) }))
const failures: Failure[] = []
const report = (failure: Failure): void => {
  failures.push(failure)
  say(
    `${failure.scenario.padEnd(8)} ${failure.case.padEnd(22)} ${failure.contender.padEnd(15)} FAILED: ${failure.message}`,
  )
}

/** What there is so far: a run that is stopped keeps the scenarios that are complete. */
function save(ran: readonly string[], rows: readonly Row[]): void {
  if (json === undefined) return
  const result = {
    machine,
    commit,
    date: new Date().toISOString(),
    command: `npm run bench -- ${process.argv.slice(2).map(quoted).join(' ')}`.trim(),
    effort,
    scenarios: scenarios.filter(({ name }) => ran.includes(name)).map(({ name, about }) => ({ name, about })),
    contenders: all.map(({ name, kind, note }) => ({ name, kind, note, missing: missing.get(name) ?? [] })),
    failures,
    rows,
    verdicts: judgeAll(wanted, ran, rows),
  }
  writeFileSync(json, formatResult(result))
}

const rows: Row[] = []
const ran: string[] = []
for (const scenario of scenarios.filter(({ name }) => chosen.includes(name))) {
  const measured = all.filter(
    ({ name, kind }) =>
      !missing.has(name) &&
      (only?.has(name) ?? true) &&
      scenario.contenders.some(
        (pick) => (pick === '*' && kind !== 'base' && kind !== 'http-tunnel') || pick === name || pick === `${kind}s`,
      ),
  )
  const bench: Bench = { effort, contenders: measured, wants, say, fail: report }
  say(`\n${scenario.name}: ${scenario.about}`)
  rows.push(...(await scenario.run(bench)))
  ran.push(scenario.name)
  save(ran, rows)
}

const verdicts = judgeAll(wanted, ran, rows)
if (verdicts.length > 0) say('\nverdicts: the median of the ratios round by round')
for (const verdict of verdicts) say(verdictLine(verdict))
process.exit(failures.length === 0 ? 0 : 1)
