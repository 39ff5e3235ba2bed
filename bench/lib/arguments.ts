/** The command line of the bench. */
import { parseArgs } from 'node:util'
import { minRounds } from './bars.ts'
import type { Effort } from './scenario.ts'

/** How the bench is called. */
export const usage = `usage: npm run bench -- [scenario…] [--only CONTENDER,…] [--case WORDS]… [--quick] [--rounds N]
                          [--scale X] [--json FILE]

  scenario…   what to measure; default: everything
  --only      these contenders, where a scenario takes them
  --case      only cases with these words in their name, such as '64 B'; may be given several times
  --quick     3 rounds of 0.4 of the bytes and seconds: a first look, too short for verdicts
  --rounds    rounds of each case (default 7, which a verdict needs)
  --scale     multiplies bytes and seconds of each measurement (default 1)
  --json      writes the results there, for npm run bench:report`

/** What was asked for. */
export interface Arguments {
  readonly help: boolean
  /** Names of scenarios, in the order of the report. */
  readonly scenarios: readonly string[]
  readonly only?: ReadonlySet<string>
  /** Parts of the names of the cases to measure; none: all. */
  readonly cases: readonly string[]
  readonly effort: Effort
  readonly json?: string
}

/** Wrong usage; its message is one sentence for the user. */
export class UsageError extends Error {}

/** Those of `known` that `words` name; throws a {@link UsageError} for a word that is none of them. */
function pick(words: readonly string[], known: readonly string[], kind: string): readonly string[] {
  const wrong = words.find((word) => !known.includes(word))
  if (wrong !== undefined) throw new UsageError(`there is no ${kind} ${wrong}; there are ${known.join(', ')}`)
  return known.filter((name) => words.includes(name))
}

/** Reads a command line against the scenarios and contenders that there are. Throws a {@link UsageError}. */
export function readArguments(
  words: readonly string[],
  known: { readonly scenarios: readonly string[]; readonly contenders: readonly string[] },
): Arguments {
  const { values, positionals } = parse(words)
  const only =
    values.only === undefined ? undefined : new Set(pick(values.only.split(','), known.contenders, 'contender'))
  const rounds = values.rounds === undefined ? (values.quick ? 3 : minRounds) : Number(values.rounds)
  if (!(Number.isInteger(rounds) && rounds >= 1)) throw new UsageError('--rounds takes a whole number from 1')
  const scale = values.scale === undefined ? (values.quick ? 0.4 : 1) : Number(values.scale)
  if (!(scale > 0 && scale <= 100)) throw new UsageError('--scale takes a number above 0, at most 100')
  return {
    help: values.help,
    scenarios: positionals.length === 0 ? known.scenarios : pick(positionals, known.scenarios, 'scenario'),
    cases: values.case ?? [],
    effort: { rounds, scale },
    ...(only === undefined ? {} : { only }),
    ...(values.json === undefined ? {} : { json: values.json }),
  }
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        only: { type: 'string' },
        case: { type: 'string', multiple: true },
        quick: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        scale: { type: 'string' },
        json: { type: 'string' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
