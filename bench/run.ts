/**
 * The bench.
 *
 *     npm run bench -- [scenario…] [--only CONTENDER,…] [--quick] [--json FILE]
 *
 * Contenders take turns round by round, at least seven rounds; everything that relays is pinned to one core and the
 * load to another. Needs Linux and a C++ compiler.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { contenders as all } from './contenders/all.ts'
import { buildLoad } from './lib/load.ts'
import { readCommit, readMachine, which } from './lib/machine.ts'
import type { Bench, Failure, Scenario } from './lib/scenario.ts'
import type { Row } from './lib/summary.ts'
import { scenarios } from './scenarios/all.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`)
  process.exit(2)
}

function readArguments(): {
  chosen: readonly Scenario[]
  only?: ReadonlySet<string>
  quick: boolean
  rounds?: number
  json?: string
} {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        json: { type: 'string' },
      },
    })
    const chosen = positionals.map(
      (name) =>
        scenarios.find((scenario) => scenario.name === name) ??
        fail(`there is no scenario ${name}; there are ${scenarios.map((scenario) => scenario.name).join(', ')}`),
    )
    const only = values.only === undefined ? undefined : new Set(values.only.split(','))
    for (const name of only ?? []) {
      if (!all.some((contender) => contender.name === name)) {
        fail(`there is no contender ${name}; there are ${all.map((contender) => contender.name).join(', ')}`)
      }
    }
    const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
    if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= 1)) fail('--rounds takes a whole number from 1')
    return {
      chosen: chosen.length === 0 ? scenarios : chosen,
      quick: values.quick,
      ...(only === undefined ? {} : { only }),
      ...(rounds === undefined ? {} : { rounds }),
      ...(values.json === undefined ? {} : { json: values.json }),
    }
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

const { chosen, only, quick, rounds, json } = readArguments()
if (process.platform !== 'linux') fail('it needs Linux')
buildLoad()

const missing = new Map<string, readonly string[]>()
for (const { name, programs } of all) {
  const absent = programs.filter((program) => which(program) === undefined)
  if (absent.length > 0) missing.set(name, absent)
}
const machine = readMachine()
const effort = { rounds: rounds ?? (quick ? 3 : 7), scale: quick ? 0.4 : 1 }
const say = (text: string): void => void process.stdout.write(`${text}\n`)
say(
  `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, ${machine.congestionControl}, Node ${machine.node}`,
)
for (const [name, programs] of missing) say(`missing: ${name} (${programs.join(', ')} is not on PATH)`)

const failures: Failure[] = []
const report = (failure: Failure): void => {
  failures.push(failure)
  say(
    `${failure.scenario.padEnd(8)} ${failure.case.padEnd(22)} ${failure.contender.padEnd(15)} FAILED: ${failure.message}`,
  )
}
const rows: Row[] = []
const ran: string[] = []
for (const scenario of chosen) {
  const wanted = all.filter(
    ({ name, kind }) =>
      !missing.has(name) &&
      (only?.has(name) ?? true) &&
      scenario.contenders.some((pick) => (pick === '*' && kind !== 'base') || pick === name || pick === `${kind}s`),
  )
  const bench: Bench = { effort, contenders: wanted, say, fail: report }
  say(`\n${scenario.name}: ${scenario.about}`)
  rows.push(...(await scenario.run(bench)))
  ran.push(scenario.name)
}

if (json !== undefined) {
  const result = {
    machine,
    commit: readCommit(root),
    date: new Date().toISOString(),
    command: `npm run bench -- ${process.argv.slice(2).join(' ')}`.trim(),
    effort,
    scenarios: scenarios.filter(({ name }) => ran.includes(name)).map(({ name, about }) => ({ name, about })),
    contenders: all.map(({ name, kind, note }) => ({ name, kind, note, missing: missing.get(name) ?? [] })),
    failures,
    rows,
  }
  writeFileSync(json, `${JSON.stringify(result, undefined, 1)}\n`)
}
process.exit(0)
